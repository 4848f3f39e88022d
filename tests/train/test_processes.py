"""One run in several processes: the same weights as in one, and what happens when one of them is told to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import PartialState
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from taxonomy.checkpoint import read_manifest, verify
from tests.processes import Signal, ended, in_parallel, run_as_rank
from train.batches import collate
from train.encode import Row
from train.processes import joined, weights
from train.recipe import Architecture, Recipe
from train.run import run
from train.sft import fresh_model, loss_of
from train.steps import read_steps

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


def rows() -> list[Row]:
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(6, 30, (8,), generator=draw).tolist()
    tokens = [torch.randint(0, 600, (length,), generator=draw).numpy().astype("int32") for length in lengths]
    return [Row(row, torch.arange(3, len(row)).numpy().astype("int32")) for row in tokens]


def stepped(model: Any, mine: list[Row], total: float) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = collate(mine, [], 0) | {"total": torch.tensor(total)}
    loss: Any = loss_of(model, model, batch)
    loss.backward()
    optimizer.step()


def sharded(rank: int, out: Path) -> None:
    """One step on half of the rows, each process holding half of every weight."""
    joined()
    model = fresh_model(Architecture.model_validate(SHAPE), 600, 0, 1, seed=0)
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    assert {p.to_local().numel() * 2 for p in model.parameters()} == {p.numel() for p in model.parameters()}
    stepped(model, rows()[rank::2], total=sum(len(row.learned) for row in rows()) / 2)
    gathered = weights(model)
    assert bool(gathered) == PartialState().is_main_process
    if rank == 0:
        torch.save(gathered, out)


def test_the_loss_and_the_gathered_weights_are_right_where_fsdp2_shards_the_model(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    assert [ended(process) for process in in_parallel(sharded, 2, file)] == [0, 0]
    model = fresh_model(Architecture.model_validate(SHAPE), 600, 0, 1, seed=0)
    stepped(model, rows(), total=sum(len(row.learned) for row in rows()))
    gathered = torch.load(file)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(gathered[name], tensor, atol=1e-6, rtol=1e-5)
