"""What training computes in: products in the recipe's precision, weights in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, TrainerCallback

from taxonomy.errors import CallWrong
from tests.train.test_training import TINY
from train.advice import settled
from train.loop.sft import fresh_model
from train.recipe import Recipe
from train.recipe_parts import Architecture, Precision
from train.record import RunRecord, check_same, hash_of_weights, keep
from train.run import run

REPLAYED = [{"name": "general", "suite": 200, "share": 0.3}]


class Looking(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Keeps the types that a training is made of, and its losses."""

    def __init__(self) -> None:
        self.products: set[torch.dtype] = set()
        self.kept: set[torch.dtype] = set()
        self.losses: list[float] = []

    def on_train_begin(self, *_: Any, model: PreTrainedModel, **__: Any) -> None:
        model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *told: self.products.add(told[2].dtype))

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])

    def on_train_end(self, *_: Any, model: PreTrainedModel, optimizer: Any, **__: Any) -> None:
        states = [t for state in optimizer.state.values() for t in state.values() if t.is_floating_point()]
        self.kept = {t.dtype for t in (*model.parameters(), *states)}


def looked_at(out: Path, precision: Precision | None, **more: Any) -> tuple[Looking, dict[str, Any]]:
    looking = Looking()
    told = TINY.model_dump() | more
    told["optimisation"] |= {"precision": precision}
    return looking, run(Recipe.model_validate(told), out, lambda _: None, callbacks=[looking]).training


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what holds where there is no GPU")
def test_without_a_gpu_training_is_float32_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    looking, training = looked_at(tmp_path / "a", None)
    assert training["precision"] == "float32"
    assert looking.products == looking.kept == {torch.float32}


def test_in_bfloat16_only_the_products_are(tmp_path: Path) -> None:
    exact, _ = looked_at(tmp_path / "a", "float32")
    looking, training = looked_at(tmp_path / "b", "bfloat16")
    assert training["precision"] == "bfloat16"
    assert looking.products == {torch.bfloat16}
    assert looking.kept == {torch.float32}
    assert looking.losses == pytest.approx(exact.losses, rel=1e-2)
    assert looking.losses != exact.losses


def test_the_base_that_a_model_stays_near_computes_alike(tmp_path: Path) -> None:
    """Before the first step a model is its base: were only one of them rounded, they would differ."""
    looked_at(tmp_path / "base", "float32")
    told = {"continue_from": str(tmp_path / "base"), "dtype": "float32", "replay": REPLAYED}
    near, _ = looked_at(tmp_path / "near", "bfloat16", **told, replay_kl=100.0)
    free, _ = looked_at(tmp_path / "free", "bfloat16", **told)
    assert near.losses[0] == pytest.approx(free.losses[0], rel=1e-6)
    assert near.losses[-1] != pytest.approx(free.losses[-1], rel=1e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what holds where there is no GPU")
def test_a_run_does_not_go_on_in_another_precision_than_it_began_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, whose default is another than a CPU's."""
    shape = Architecture(vocabulary=600, hidden=64, layers=1, intermediate=64, context=2048)
    model = fresh_model(shape, 600, pad=0, eos=0, seed=0)

    def record() -> RunRecord:
        precision = settled(TINY.training, model.num_parameters()).precision
        return RunRecord(TINY.model_dump(mode="json"), {}, hash_of_weights(model), precision, 1)

    keep(tmp_path, record())
    check_same(tmp_path, record())
    monkeypatch.setattr("train.advice._precision", lambda: "bfloat16")
    with pytest.raises(CallWrong, match='precision was "float32", now it is "bfloat16"'):
        check_same(tmp_path, record())
