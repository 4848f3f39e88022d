"""Weights of some steps, kept on disk beside the run until one of its candidates is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerState

from taxonomy.files import whole

Tensors = dict[str, torch.Tensor]
"""Weights by name."""


def weights_of(model: torch.nn.Module) -> Tensors:
    """A copy of all parameters in main memory, those that are tied once."""
    return {name: weight.detach().to("cpu", copy=True).contiguous() for name, weight in model.named_parameters()}


@torch.no_grad()
def put(weights: Tensors, model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Give a model these weights, rounded as they will be published."""
    for name, weight in model.named_parameters():
        weight.copy_(weights[name].to(dtype))


def saved_at(folder: Path, step: int) -> Path:
    """The file of a step's weights."""
    return folder / f"{step}.safetensors"


def read_weights(folder: Path, step: int) -> Tensors:
    """Raises OSError where that step was not saved."""
    tensors: Tensors = load_file(saved_at(folder, step))
    return tensors


class SavedWeights(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Saves a model's weights after each of these steps; a step that is done again is saved again."""

    def __init__(self, model: torch.nn.Module, steps: Sequence[int], folder: Path) -> None:
        self._model, self._steps, self._folder = model, frozenset(steps), folder

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:  # noqa: ARG002 (the Trainer's)
        if state.global_step in self._steps and state.is_world_process_zero:
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole(saved_at(self._folder, state.global_step)) as part:
                save_file(weights_of(self._model), part)
