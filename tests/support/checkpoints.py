"""Small real checkpoints, and engines without a model that decide by what stands in their weights file."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch

from serve.activation.proof import record
from serve.engine.protocol import Choose, ScriptedEngine
from serve.registry.registry import Registry
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import limits_of
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.gate_record import GateRecord, Verdict, evidence_of
from taxonomy.checkpoint.manifest import Manifest, checkpoint_id, hashes, publish, read_manifest
from taxonomy.errors import EngineFailed
from taxonomy.tree import Taxonomy

PROMOTED = Verdict.PROMOTE
WEIGHTS = "model.safetensors"


def unpublished(folder: Path, seed: int) -> Path:
    """The bundled tokenizer beside weights of a few numbers; each seed is another checkpoint."""
    shutil.copytree(BUNDLED_CHECKPOINT, folder, ignore=shutil.ignore_patterns("*.safetensors", "manifest.json"))
    save_file({"weights": np.random.default_rng(seed).random(16, np.float32)}, folder / WEIGHTS)
    return folder


def published(folder: Path, gate: Verdict | None = None, base: Manifest | None = None, **changed: Any) -> Manifest:
    """The manifest of what stands in a folder, written; what is not given is as in the base, or in the bundled one."""
    files = hashes(folder)
    # Other weights decide otherwise than the fingerprint of the bundled ones says.
    base = base or read_manifest(BUNDLED_CHECKPOINT).model_copy(update={"fingerprint": None})
    manifest = Manifest.model_validate(base.model_dump() | {"version": checkpoint_id(files), "files": files} | changed)
    if gate:
        manifest = manifest.model_copy(update={"decision": decided(manifest, gate)})
    publish(folder, manifest)
    return manifest


def adapted(
    small: Path, merged: Path, base: Path = BUNDLED_CHECKPOINT, rank: int = 8, alpha: int = 16
) -> tuple[Path, Path]:
    """An adapter as PEFT saves it, of a checkpoint, and the weights of both added up, in float32."""
    shutil.copytree(base, merged)
    weights = {name: tensor.float() for name, tensor in load_torch(merged / WEIGHTS).items()}
    generator = torch.Generator().manual_seed(3)
    parts: dict[str, torch.Tensor] = {}
    for name in [name for name in weights if "_proj" in name]:
        rows, columns = weights[name].shape
        down = torch.randn(rank, columns, generator=generator) / columns**0.5
        up = torch.randn(rows, rank, generator=generator) * weights[name].std() * 0.25
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        parts |= {f"{stem}.lora_A.weight": down.bfloat16(), f"{stem}.lora_B.weight": up.bfloat16()}
        weights[name] += alpha / rank * up.bfloat16().float() @ down.bfloat16().float()
    save_torch(weights, merged / WEIGHTS, {"format": "pt"})
    small.mkdir()
    save_torch(parts, small / "adapter_model.safetensors", {"format": "pt"})
    targets = sorted({name.split(".")[-2] for name in weights if "_proj" in name})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha, "target_modules": targets}
    (small / "adapter_config.json").write_text(json.dumps(config | {"lora_dropout": 0.0, "bias": "none"}))
    return small, merged


def flip_one_bit(tensor: torch.Tensor) -> None:
    """The highest bit of the first number's exponent."""
    tensor.view(torch.int16).view(-1)[0] ^= 0x4000


def decided(manifest: Manifest, verdict: Verdict) -> GateRecord:
    """What the gate would have written, had it come to this verdict."""
    return GateRecord(
        verdict=verdict,
        candidate=manifest.version,
        baseline=manifest.version,
        findings=(),
        policy={},
        evidence=evidence_of(manifest.scores, manifest.calibration),
        decided_at="2026-01-01T00:00:00+00:00",
    )


def choosing(weights: Path) -> Choose:
    """Decisions that follow from a weights file. Raises EngineFailed where it is not one."""
    try:
        seed = load_file(weights)["weights"].tobytes()
    except Exception as error:  # safetensors has an error of its own
        raise EngineFailed(f"cannot load {weights}: {error}") from error

    def choose(allowed: tuple[int, ...]) -> tuple[int, float]:
        number = int.from_bytes(hashlib.sha256(seed + repr(allowed).encode()).digest()[:8])
        return allowed[number % len(allowed)], -(number % 1009) / 1009

    return choose


def router_on(pair: Pair, settings: Settings, choose: Choose | None = None) -> Router:
    """An engine that has loaded the pair's weights, or decides as it is told."""
    engine = ScriptedEngine(pair.automaton, choose or choosing(Path(pair.model.path) / WEIGHTS))
    return Router(pair, engine, limits_of(settings), context=32_768)


async def proven(
    folder: Path, settings: Settings, gate: Verdict | None = PROMOTED, taxonomy: Taxonomy | None = None
) -> Manifest:
    """Publish a folder with its fingerprint and the gate's record, for the bundled taxonomy where none is given."""
    taxonomy = taxonomy or bundled_taxonomy()
    published(folder, taxonomy=taxonomy.version)
    pair = pair_of(str(folder), taxonomy, settings.cache)
    fingerprint = await record(router_on(pair, settings))
    return published(folder, fingerprint=fingerprint, gate=gate, taxonomy=taxonomy.version)


def root_of(registry: Registry) -> Path:
    """The directory in which a registry lies."""
    return Path(str(registry.store))
