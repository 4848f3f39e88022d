"""One run in several processes: the same weights as in one, and what happens when one of them is told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import TrainerCallback

import train.run
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import CallWrong
from tests.support.training_processes import Signal, ended, in_parallel, run_as_rank
from train.loop.processes import joined
from train.loop.steps import read_steps
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 2, "intermediate": 64, "context": 2048}
TINY: dict[str, Any] = {
    "corpus": 40,
    "exposures": 2,
    "architecture": SHAPE,
    "optimisation": {"batch": 8},
    "replay": [{"name": "suite", "suite": 300, "share": 0.2}],
    "dtype": "float32",
}
ASKED = Recipe.model_validate(TINY)
RESUME = True
NEAR = 1e-4
"""How far a weight may be from that of the run in one process: sums of floats in another order."""


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process publishes."""
    out = tmp_path_factory.mktemp("alone") / "out"
    run(ASKED, out, quiet)
    return out


def furthest(one: Path, other: Path) -> float:
    """The largest difference between two checkpoints' weights."""
    a, b = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def losses(out: Path) -> list[float]:
    return [step["loss"] for step in read_steps(out.with_name(f"{out.name}.run") / "steps.jsonl")]


def test_two_processes_of_accelerates_launcher_make_the_weights_that_one_makes(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY))
    out = tmp_path / "out"
    # Where there are no GPUs, accelerate's --multi_gpu means processes on the CPU that speak over gloo.
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
    launch += ["--main_process_port=0", "--mixed_precision=no", "--dynamo_backend=no", "-m", "route_feedback"]
    call = [sys.executable, *launch, "train", str(tmp_path / "recipe.yaml"), "--out", str(out), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (told,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    manifest = read_manifest(out)
    assert told["version"] == manifest.version, "only the first process tells"
    verify(out, manifest)
    assert furthest(alone, out) < NEAR
    assert losses(out) == pytest.approx(losses(alone), abs=1e-4)
    assert json.loads((tmp_path / "out.run" / "run.json").read_text())["processes"] == 2


def test_two_processes_stop_together_whichever_is_told_to_and_go_on_to_the_same_weights(
    alone: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert [ended(p) for p in in_parallel(run_as_rank, 2, ASKED, whole)] == [0, 0]
    told = in_parallel(run_as_rank, 2, ASKED, out, (Signal(3, signal.SIGTERM),))
    assert [ended(process) for process in told] == [1, 1]
    assert len(losses(out)) == 3
    assert (tmp_path / "out.run" / "state" / "checkpoint-3" / "rng_state_1.pth").exists()
    assert [ended(p) for p in in_parallel(run_as_rank, 2, ASKED, out, (), RESUME)] == [0, 0]
    assert read_manifest(out).version == read_manifest(whole).version
    assert furthest(alone, out) < NEAR


def test_what_the_first_process_cannot_prepare_ends_the_others_too(tmp_path: Path) -> None:
    wrong = ASKED.model_copy(update={"continue_from": str(tmp_path / "nothing")})
    assert [ended(p) for p in in_parallel(run_as_rank, 2, wrong, tmp_path / "out")] == [1, 1]


def sharded(
    rank: int,
    recipe: Recipe,
    out: Path,
    callbacks: tuple[TrainerCallback, ...] = (),
    resume: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """As launched with --use_fsdp. accelerate shards on accelerators only, so it is told that these CPUs are some."""
    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}
    os.environ["FSDP_AUTO_WRAP_POLICY"] = "TRANSFORMER_BASED_WRAP"
    decide = AcceleratorState.__init__

    def told(self: AcceleratorState, *arguments: Any, **named: Any) -> None:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
        decide(self, *arguments, **named)
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_CPU

    AcceleratorState.__init__ = told
    train.run.joined = lambda: PartialState(cpu=True)  # type: ignore[attr-defined]
    run_as_rank(rank, recipe, out, callbacks, resume)


def test_a_model_sharded_by_fsdp2_is_trained_stopped_resumed_and_published_whole(alone: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert [ended(p) for p in in_parallel(sharded, 2, ASKED, whole)] == [0, 0]
    verify(whole, read_manifest(whole))
    assert furthest(alone, whole) < NEAR
    assert losses(whole) == pytest.approx(losses(alone), abs=1e-4)
    assert [ended(p) for p in in_parallel(sharded, 2, ASKED, out, (Signal(3, signal.SIGTERM),))] == [1, 1]
    parts = (tmp_path / "out.run" / "state" / "checkpoint-3" / "pytorch_model_fsdp_0").glob("*.distcp")
    assert sorted(part.name for part in parts) == ["__0_0.distcp", "__1_0.distcp"], "each process saves its half"
    assert [ended(p) for p in in_parallel(sharded, 2, ASKED, out, (), RESUME)] == [0, 0]
    assert read_manifest(out).version == read_manifest(whole).version


def test_accelerate_would_not_shard_on_cpus_so_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(CallWrong, match="accelerate shards no model on CPUs"):
        joined()
