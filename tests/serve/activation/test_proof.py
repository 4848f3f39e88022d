"""A fingerprint is reproduced by the engine that serves its checkpoint, and by no other."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from serve.activation import proof as recording
from serve.activation.proof import record, tolerance, verify
from serve.engine.protocol import Choose
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import limits_of
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.fingerprint import Fingerprint, Probe
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.errors import EngineFailed, FingerprintDiffers
from taxonomy.language import prompt
from taxonomy.language.compiled import compiled
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.tree import taxonomy_of
from tests.support.checkpoints import WEIGHTS, choosing, flip_one_bit, published, router_on, unpublished
from tests.support.torch_engine import TorchEngine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = unpublished(tmp_path_factory.mktemp("checkpoints") / "new", 1)
    published(folder)
    return folder


@pytest.fixture(scope="module")
def new(folder: Path, settings: Settings) -> Pair:
    return pair_of(str(folder), bundled_taxonomy(), settings.cache)


@pytest.fixture(scope="module")
def recorded(new: Pair, settings: Settings) -> Fingerprint:
    return asyncio.run(record(router_on(new, settings)))


@pytest.fixture(scope="module")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Choose:
    """What the checkpoint before decides."""
    return choosing(unpublished(tmp_path_factory.mktemp("checkpoints") / "old", 2) / WEIGHTS)


async def verified(pair: Pair, settings: Settings, fingerprint: Fingerprint, choose: Choose | None = None) -> float:
    return await verify(router_on(pair, settings, choose), fingerprint)


async def test_the_same_weights_reproduce_it_exactly(new: Pair, settings: Settings, recorded: Fingerprint) -> None:
    assert await verified(new, settings, recorded) == 0
    assert (recorded.spread, recorded.recorded_on) == (0, "scripted/float32")
    assert len(recorded.probes) == len(recording.PROBES)


def test_it_survives_the_manifest(folder: Path, recorded: Fingerprint) -> None:
    publish(folder, read_manifest(folder).model_copy(update={"fingerprint": recorded}))
    assert read_manifest(folder).fingerprint == recorded


async def test_stale_weights_are_seen(new: Pair, settings: Settings, recorded: Fingerprint, stale: Choose) -> None:
    with pytest.raises(FingerprintDiffers, match=r"probe 1 of 8: decision \d+ is "):
        await verified(new, settings, recorded, stale)


async def test_stale_weights_that_decide_otherwise_are_seen_by_the_decision(
    new: Pair, settings: Settings, recorded: Fingerprint
) -> None:
    right = choosing(Path(new.model.path) / WEIGHTS)

    def otherwise(allowed: tuple[int, ...]) -> tuple[int, float]:
        token, logprob = right(allowed)
        return next(other for other in allowed if other != token), logprob

    with pytest.raises(FingerprintDiffers, match="probe 1 of 8: decision 1 is not the recorded one"):
        await verified(new, settings, recorded, otherwise)


async def test_stale_weights_that_decide_alike_are_seen_by_how_sure_they_are(
    new: Pair, settings: Settings, recorded: Fingerprint
) -> None:
    right = choosing(Path(new.model.path) / WEIGHTS)

    def surer(allowed: tuple[int, ...]) -> tuple[int, float]:
        token, logprob = right(allowed)
        return token, logprob / 2

    with pytest.raises(FingerprintDiffers, match=r"in log-probability, .* is allowed"):
        await verified(new, settings, recorded, surer)


@pytest.mark.parametrize("every", [2, 5, 20])
async def test_half_loaded_weights_are_seen(
    new: Pair, settings: Settings, recorded: Fingerprint, stale: Choose, every: int
) -> None:
    """Every so many decisions, of all those that the probes ask for, are those of the weights before."""
    right, decisions = choosing(Path(new.model.path) / WEIGHTS), count(1)
    with pytest.raises(FingerprintDiffers):
        await verified(
            new, settings, recorded, lambda allowed: stale(allowed) if next(decisions) % every == 0 else right(allowed)
        )


async def test_weights_that_give_no_numbers_are_seen(new: Pair, settings: Settings, recorded: Fingerprint) -> None:
    right = choosing(Path(new.model.path) / WEIGHTS)
    with pytest.raises(FingerprintDiffers, match=r"off by [+]?nan"):
        await verified(new, settings, recorded, lambda allowed: (right(allowed)[0], math.nan))


async def test_another_tokenizer_is_seen(settings: Settings, recorded: Fingerprint, tmp_path: Path) -> None:
    """Its vocabulary has two words changed for each other, and its files are hashed anew."""
    folder = unpublished(tmp_path / "other", 1)
    file = folder / "tokenizer.json"
    spec = json.loads(file.read_text(encoding="utf-8"))
    words = spec["model"]["vocab"]
    words["Stability"], words["Creatures"] = words["Creatures"], words["Stability"]
    file.write_text(json.dumps(spec), encoding="utf-8")
    published(folder)
    other_pair = pair_of(str(folder), bundled_taxonomy(), tmp_path / "cache")
    with pytest.raises(FingerprintDiffers, match="another tokenizer"):
        await verified(other_pair, settings, recorded)


async def test_another_taxonomy_is_seen(new: Pair, settings: Settings, recorded: Fingerprint) -> None:
    fewer = taxonomy_of(bundled_taxonomy().leaves[1:], bundled_taxonomy().notes)
    with pytest.raises(FingerprintDiffers, match=f"this one is {fewer.version}"):
        await verified(replace(new, taxonomy=fewer), settings, recorded)


async def test_a_taxonomy_that_was_compiled_otherwise_is_seen(
    new: Pair, settings: Settings, recorded: Fingerprint
) -> None:
    """The version is right, the compiled language of answers is not."""
    other = compiled(taxonomy_of(new.taxonomy.leaves[1:]), new.tokens)
    with pytest.raises(FingerprintDiffers, match="the labels are other tokens"):
        await verified(replace(new, model=replace(new.model, automaton=other)), settings, recorded)


async def test_another_prompt_is_seen_though_its_version_was_not_changed(
    new: Pair, settings: Settings, recorded: Fingerprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "LEARNED_SYSTEM", "Route this comment.")
    reworded = Prompt(new.tokens.tokenizer, new.tokens, new.taxonomy, PromptStyle.LEARNED)
    with pytest.raises(FingerprintDiffers, match="another prompt or tokenizer"):
        await verified(replace(new, prompt=reworded), settings, recorded)


async def test_an_engine_that_decides_otherwise_each_time_gets_no_fingerprint(new: Pair, settings: Settings) -> None:
    turns = count()
    unsteady = router_on(new, settings, lambda allowed: (allowed[next(turns) % 2], -0.1))
    with pytest.raises(EngineFailed, match="no fingerprint"):
        await record(unsteady)


async def test_what_an_engine_repeats_inexactly_is_in_the_spread(new: Pair, settings: Settings) -> None:
    turns = count()
    noisy = router_on(new, settings, lambda allowed: (allowed[0], -0.1 - 1e-6 * next(turns)))
    assert 0 < (await record(noisy)).spread < 1e-2


def test_the_tolerance_is_narrow_only_where_one_kind_of_engine_repeats_exactly() -> None:
    narrow, wide = tolerance("cpu/float32", "cpu/float32"), tolerance("cpu/bfloat16", "cpu/bfloat16")
    assert narrow < wide
    assert wide == tolerance("cpu/float32", "cuda/float32") == tolerance("cpu/bfloat16", "cpu/float32")


def test_a_probe_pairs_decisions_with_log_probabilities() -> None:
    with pytest.raises(ValidationError, match="2 decisions with 1"):
        Probe(comment="x", asked="", tokens=(1, 2), logprobs=(0.0,))
    with pytest.raises(ValidationError, match="proves nothing"):
        Fingerprint(taxonomy="", language="", recorded_on="", spread=0, probes=())


def real(pair: Pair, settings: Settings, weights: Path = BUNDLED_CHECKPOINT) -> Router:
    """The bundled model itself, computed by transformers instead of vLLM."""
    return Router(pair, TorchEngine(pair.automaton, weights), limits_of(settings), context=32_768)


def spoilt(folder: Path, tensor: str, spoil: Callable[[torch.Tensor], object]) -> Path:
    """The bundled checkpoint with one tensor changed in its real file."""
    shutil.copytree(BUNDLED_CHECKPOINT, folder)
    weights = load_file(BUNDLED_CHECKPOINT / WEIGHTS)
    spoil(weights[tensor])
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def of_the_model(pair: Pair, settings: Settings) -> Fingerprint:
    return asyncio.run(record(real(pair, settings)))


async def test_the_real_model_reproduces_it(pair: Pair, settings: Settings, of_the_model: Fingerprint) -> None:
    assert await verify(real(pair, settings), of_the_model) < 1e-4


@pytest.mark.parametrize(
    "tensor", ["norm", "layers.0.input_layernorm", "layers.0.self_attn.v_proj", "layers.1.mlp.down_proj"]
)
async def test_one_bit_flipped_in_one_tensor_of_the_real_model_is_seen(
    pair: Pair, settings: Settings, of_the_model: Fingerprint, tmp_path: Path, tensor: str
) -> None:
    folder = spoilt(tmp_path / "spoilt", f"model.{tensor}.weight", flip_one_bit)
    with pytest.raises(FingerprintDiffers):
        await verify(real(pair, settings, folder), of_the_model)


@pytest.mark.parametrize("tensor", ["layers.0.mlp.up_proj", "layers.0.self_attn.o_proj", "layers.1.self_attn.v_proj"])
async def test_one_matrix_that_was_never_loaded_into_the_real_model_is_seen(
    pair: Pair, settings: Settings, of_the_model: Fingerprint, tmp_path: Path, tensor: str
) -> None:
    folder = spoilt(tmp_path / "spoilt", f"model.{tensor}.weight", torch.Tensor.zero_)
    with pytest.raises(FingerprintDiffers):
        await verify(real(pair, settings, folder), of_the_model)


def test_a_truncated_file_is_no_engine(pair: Pair, tmp_path: Path) -> None:
    shutil.copytree(BUNDLED_CHECKPOINT, tmp_path / "cut")
    (tmp_path / "cut" / WEIGHTS).write_bytes((BUNDLED_CHECKPOINT / WEIGHTS).read_bytes()[:-1000])
    with pytest.raises(EngineFailed, match="cannot load"):
        TorchEngine(pair.automaton, tmp_path / "cut")
