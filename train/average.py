"""Checkpoints of one origin, averaged: what each learned, without what each forgot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from taxonomy.checkpoint import Manifest, hashes, publish, read_manifest, verify, version_of
from taxonomy.errors import CallWrong
from train.recipe import Average

WEIGHTS = "model.safetensors"


def average(recipe: Average, out: FilePath, say: Callable[[str], None]) -> Manifest:
    """Publish in `out` the weighted mean of the recipe's checkpoints; all else is the first one's.

    Raises CallWrong where their tensors, tokenizers or taxonomies differ, CheckpointInvalid where one is not whole.
    """
    folders = [FilePath(part.checkpoint) for part in recipe.average]
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
    for name in first.files:
        shutil.copy(folders[0] / name, out / name)
    save_file(_mean(recipe, folders), out / WEIGHTS, metadata={"format": "pt"})
    files = hashes(out)
    seconds = sum(manifest.training.get("seconds", 0) for manifest in manifests)
    manifest = first.model_copy(
        update={
            "version": version_of(files),
            "files": files,
            "base_model": first.version,
            "recipe": recipe.model_dump(),
            "data": {m.version: m.data["train"] for m in manifests},
            "training": {"seconds": seconds, "of": {m.version: m.training for m in manifests}},
            "scores": {},
            "calibration": None,
            "decision": None,
        }
    )
    publish(out, manifest)
    return manifest


def _mean(recipe: Average, folders: list[FilePath]) -> dict[str, torch.Tensor]:
    total = sum(part.weight for part in recipe.average)
    mean: dict[str, torch.Tensor] = {}
    kinds: dict[str, Any] = {}
    for folder, part in zip(folders, recipe.average, strict=True):
        tensors = load_file(folder / WEIGHTS)
        if mean and {name: tensor.shape for name, tensor in tensors.items()} != {n: t.shape for n, t in mean.items()}:
            raise CallWrong(f"{folder} has other tensors than {folders[0]}; average checkpoints of one origin")
        for name, tensor in tensors.items():
            share = tensor.float() * (part.weight / total)
            mean[name] = mean[name] + share if name in mean else share
            kinds.setdefault(name, tensor.dtype)
    return {name: tensor.to(kinds[name]) for name, tensor in mean.items()}
