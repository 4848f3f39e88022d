"""A GGUF file -> a model that knows of no quantisation, and the directory that any engine reads."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedModel

from serve.routing.loading import context_of, load_tokenizer
from taxonomy.errors import CheckpointInvalid


def unquantised(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights in a model that knows of no quantisation: transformers saves and trains no other."""
    config = model.config
    del config.quantization_config
    whole: PreTrainedModel = type(model)(config)
    whole.load_state_dict(model.state_dict(), assign=True)
    whole.tie_weights()
    return whole


def write_dequantised(file: Path, folder: Path, *, splits_digits: bool) -> None:
    """Weights as safetensors in bfloat16, tokenizer and chat template. Raises CheckpointInvalid.

    splits_digits: the tokenizer cuts numbers into single digits before anything else.
    """
    named = {"gguf_file": file.name}
    tokenizer = load_tokenizer(str(file.parent), **named)
    if splits_digits:
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    try:
        model = unquantised(AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **named))
    except Exception as error:  # the parser raises whatever it likes
        raise CheckpointInvalid(f"{file}: its weights cannot be read ({error!r:.300})") from error
    tokenizer.model_max_length = context_of(model.config) or tokenizer.model_max_length
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
