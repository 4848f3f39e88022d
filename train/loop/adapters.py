"""LoRA and DoRA by peft: put beside a base's weights before the training, merged into them after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import PreTrainedModel

from taxonomy.checkpoint.adapter import CONFIG, WEIGHTS
from taxonomy.checkpoint.manifest import DeltaOf, hashes
from taxonomy.errors import RecipeInvalid
from taxonomy.files import write_text
from train.recipe_parts import Adapter

Model: TypeAlias = PreTrainedModel | PeftModel
"""A decoder, as a whole or with an adapter."""

FOLDER: Final = "adapter"
"""Where a kept adapter stands in a checkpoint's directory."""


def adapted(model: PreTrainedModel, adapter: Adapter, seed: int, rows: Sequence[int] = ()) -> PeftModel:
    """The model with an adapter, which alone is trained from here on; until it is, nothing has changed.

    rows: tokens whose embeddings are trained too, as they are new to the base.

    Raises RecipeInvalid where the model has no layer of the names that the recipe targets.
    """
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=adapter.rank,
        lora_alpha=adapter.alpha or 2 * adapter.rank,
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets or "all-linear",
        use_dora=adapter.kind == "dora",
        trainable_token_indices=[*rows] or None,
    )
    torch.manual_seed(seed)
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise RecipeInvalid(f"adapter.targets: {error}") from error


def merged(model: Model) -> PreTrainedModel:
    """An ordinary model with the same answers, whether there was an adapter or not."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def keep_adapter(model: PeftModel, checkpoint: Path) -> dict[str, str]:
    """Write the adapter alone, in peft's format, into the checkpoint's folder; gives the hash of each file."""
    # Reinforcement may have put a second one beside it, to stay near to.
    model.save_pretrained(checkpoint / FOLDER, selected_adapters=["default"])
    return hashes(checkpoint / FOLDER)


def check_apart(model: PreTrainedModel, rows: Sequence[int]) -> None:
    """An adapter holds all that a run changes. Raises RecipeInvalid where peft has no place for new tokens' rows."""
    if rows and model.get_input_embeddings().weight is not model.get_output_embeddings().weight:
        raise RecipeInvalid(
            "publish: this base's head is apart from its embeddings, and a delta has no place for the new tokens' rows "
            "of both; publish it `whole`"
        )


def write_delta(model: PeftModel, folder: Path, delta: DeltaOf) -> None:
    """Write what the adapter learned, and the rows of new tokens, in peft's format and the dtype of the whole weights.

    Peft's own fields for the base hold its name and digest, so that one adapter over two bases is two checkpoints.
    """
    dtype = getattr(torch, delta.dtype)
    learned = get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in learned.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    stated = model.peft_config["default"].to_dict()
    over = {"base_model_name_or_path": delta.base, "revision": delta.digest, "inference_mode": True}
    # A set has another order in every process, and the same run publishes the same files.
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in (stated | over).items()}
    write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", folder / CONFIG)


def trained(model: Model) -> int:
    """How many of a model's parameters are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
