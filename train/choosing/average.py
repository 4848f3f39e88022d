"""Checkpoints of one origin, averaged: what each learned, without what each forgot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file

from serve.routing.source import loadable
from serve.settings import cache_folder
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, publish_whole, read_manifest, verify
from taxonomy.errors import CallWrong
from train.loop.saved import Tensors
from train.recipe import Average

WEIGHTS = "model.safetensors"


class WeightedTensors(NamedTuple):
    """Weights by name, and how much of them a sum takes; `name` is what a person knows them by."""

    name: str
    tensors: Tensors
    weight: float


def average(recipe: Average, out: Path, say: Callable[[str], None]) -> Manifest:
    """Publish in `out` the weighted mean of the recipe's checkpoints; all else is the first one's.

    Raises CallWrong where their tensors, tokenizers or taxonomies differ, CheckpointInvalid where one is not whole.
    """
    folders = [Path(part.checkpoint) for part in recipe.average]
    manifests = []
    for folder in folders:
        manifests.append(read_manifest(folder))
        verify(folder, manifests[-1])
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        for name, own, other in [
            ("taxonomy", first.taxonomy, manifest.taxonomy),
            ("tokenizer", first.files["tokenizer.json"], manifest.files["tokenizer.json"]),
        ]:
            if own != other:
                raise CallWrong(f"{folder} has another {name} than {folders[0]}; average checkpoints of one origin")
    say(f"averaging {', '.join(manifest.version for manifest in manifests)}")

    wholes = [Path(loadable(str(folder), cache_folder(os.environ))) for folder in folders]

    def save(folder: Path) -> None:
        for file in wholes[0].iterdir():
            if file.is_file() and file.name != MANIFEST:
                shutil.copy(file, folder / file.name)
        save_file(combined(_parts(recipe, wholes)), folder / WEIGHTS, metadata={"format": "pt"})

    seconds = sum(manifest.training.get("seconds", 0) for manifest in manifests)
    changed = {
        "base_model": first.version,
        "delta_of": None,
        "recipe": recipe.model_dump(),
        "data": {m.version: m.data for m in manifests},
        "training": {"seconds": seconds, "of": {m.version: m.training for m in manifests}},
        "scores": {},
        "calibration": None,
        "decision": None,
        "fingerprint": None,
    }
    return publish_whole(out, save, lambda files: first.model_copy(update=changed | files._asdict()))


def _parts(recipe: Average, folders: list[Path]) -> Iterator[WeightedTensors]:
    total = sum(part.weight for part in recipe.average)
    for folder, part in zip(folders, recipe.average, strict=True):
        yield WeightedTensors(str(folder), load_file(folder / WEIGHTS), part.weight / total)


def combined(parts: Iterable[WeightedTensors]) -> Tensors:
    """The weighted sum, reckoned in float32, in the first part's types. Raises CallWrong where tensors differ."""
    total: Tensors = {}
    kinds: dict[str, torch.dtype] = {}
    first = ""
    for part in parts:
        first = first or part.name
        if total and _shapes(part.tensors) != _shapes(total):
            raise CallWrong(f"{part.name} has other tensors than {first}; average checkpoints of one origin")
        for name, tensor in part.tensors.items():
            share = tensor.float() * part.weight
            total[name] = total[name] + share if name in total else share
            kinds.setdefault(name, tensor.dtype)
    return {name: tensor.to(kinds[name]) for name, tensor in total.items()}


def _shapes(tensors: Tensors) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
