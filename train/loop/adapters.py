"""LoRA and DoRA by peft: put beside a base's weights before the training, merged into them after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from taxonomy.checkpoint.manifest import hashes
from taxonomy.errors import RecipeInvalid
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


def trained(model: Model) -> int:
    """How many of a model's parameters are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
