"""The real vLLM decides in the form `marked` as the weights do: what it was not asked to compute was not needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serve.engine.protocol import Decoded
from serve.routing.answer import answer_of
from serve.settings import Settings
from serve.start import load_pair, start_router
from taxonomy.language.forms import Form
from tests.conftest import Live
from tests.support.torch_engine import TorchEngine
from train.recipe import Recipe
from train.run import run

COMMENTS = [
    "The night picture is blurry, and the parcel came late.",
    "Die App stürzt ständig ab! 😡 Sonst alles gut.",
    "ok",
    "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten. Eleven. Twelve. Thirteen.",
]


def quiet(_: str) -> None:
    """Nobody reads along."""


async def test_a_marked_comment_is_decided_alike(live: Live, settings: Settings, tmp_path: Path) -> None:
    assert live.router, "an engine is the same worker's as the others"
    shape = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 4096}
    optimisation = {"comments": 64, "batch": 8}
    recipe = {"corpus": 64, "form": "marked", "architecture": shape, "optimisation": optimisation}
    run(Recipe.model_validate(recipe | {"dtype": "float32"}), tmp_path / "out", quiet)
    own = settings.model_copy(
        update={"checkpoint": str(tmp_path / "out"), "engine": {**settings.engine, "dtype": "float32"}}
    )
    pair = load_pair(own)
    assert pair.language.form is Form.MARKED
    router = await start_router(own, pair)
    try:
        tasks = [router.task(comment) for comment in COMMENTS]
        decoded: list[Decoded] = await asyncio.gather(*(router._engine.decode(task) for task in tasks))
    finally:
        await router.close()
    weights = TorchEngine(pair.automaton, tmp_path / "out")
    for task, found in zip(tasks, decoded, strict=True):
        expected = await weights.decode(task)
        assert found.tokens == expected.tokens
        assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-3)
        assert answer_of(task, found, pair).segments or answer_of(task, found, pair).residue
