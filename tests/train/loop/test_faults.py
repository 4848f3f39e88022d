"""What a training survives: kill -9, SIGTERM, a full disk; and what it refuses to go on with."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.manifest import MANIFEST, read_manifest, verify
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong, TrainingDiverged, TrainingStopped, WriteFailed
from taxonomy.labels import CheckpointId
from tests.support.training_processes import Signal, called, ended, killed_while_writing, trained
from train.corpus.generator import Corpus, load_phrasebook
from train.loop.session import writing
from train.loop.steps import read_steps
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
TINY: dict[str, Any] = {
    "corpus": 40,
    "exposures": 3,
    "architecture": SHAPE,
    "optimisation": {"batch": 8, "accumulate": 2, "word_dropout": 0.2},
    "replay": [{"name": "suite", "suite": 300, "share": 0.2}],
}
STEPS = 15
LARGEST_FILE = 300_000
"""Enough for the rows and for the weights in a state, too little for the optimiser's part of it."""


def quiet(_: str) -> None:
    """Nobody reads along."""


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(TINY | changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that draws random numbers in training, so that their state has to be saved too."""
    folder = tmp_path_factory.mktemp("base") / "base"
    run(recipe(exposures=0, tokens=800, replay=[{"name": "suite", "suite": 300, "share": 1}]), folder, quiet)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"attention_dropout": 0.1}))
    return folder


@pytest.fixture(scope="module")
def asked(base: Path) -> Recipe:
    return Recipe.model_validate({k: v for k, v in TINY.items() if k != "architecture"} | {"base": str(base)})


@pytest.fixture(scope="module")
def version(asked: Recipe, tmp_path_factory: pytest.TempPathFactory) -> CheckpointId:
    """What the run publishes when nothing goes wrong."""
    manifest = run(asked, tmp_path_factory.mktemp("whole") / "out", quiet)
    assert manifest.training["steps"] == STEPS
    return manifest.version


def steps(out: Path) -> list[int]:
    return [int(step["step"]) for step in read_steps(out.with_name(f"{out.name}.run") / "steps.jsonl")]


def test_a_run_killed_at_random_steps_publishes_the_same_weights(
    asked: Recipe, version: CheckpointId, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first, second = sorted(random.sample(range(1, STEPS + 1), 2))
    for step in (first, second):
        assert ended(trained(asked, out, Signal(step, signal.SIGKILL), resume=True)) == -signal.SIGKILL
        assert steps(out) == list(range(1, step))
        assert not (out / MANIFEST).exists()
    whole = run(asked, out, quiet, resume=True)
    assert whole.version == version
    verify(out, read_manifest(out))
    assert steps(out) == list(range(1, STEPS + 1))
    assert not (tmp_path / "out.run" / "state").exists()


def test_a_run_killed_at_any_moment_publishes_the_same_weights(
    asked: Recipe, version: CheckpointId, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(3):
        process = trained(asked, out, resume=True)
        before = len(steps(out)) if (tmp_path / "out.run" / "steps.jsonl").exists() else 0
        while process.is_alive() and not (tmp_path / "out.run" / "state").exists():
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        assert ended(process) in {0, -signal.SIGKILL}
        assert len(steps(out)) >= before - 1
    assert run(asked, out, quiet, resume=True).version == version


def test_a_run_killed_in_the_middle_of_a_save_goes_on_from_the_state_before(
    asked: Recipe, version: CheckpointId, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert ended(killed_while_writing(asked, out, LARGEST_FILE)) == -signal.SIGXFSZ
    unfinished = tmp_path / "out.run" / "state" / "unfinished" / "checkpoint-1"
    assert (unfinished / "model.safetensors").stat().st_size < LARGEST_FILE
    assert 0 < (unfinished / "optimizer.pt").stat().st_size <= LARGEST_FILE, "it is half written"
    assert run(asked, out, quiet, resume=True).version == version


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_saves_its_state_and_says_so(
    asked: Recipe, version: CheckpointId, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out, before = tmp_path / "out", signal.getsignal(number)
    with pytest.raises(TrainingStopped, match=rf"stopped by {number.name} after step 4 of 15.*--resume") as stopped:
        run(asked, out, quiet, callbacks=[Signal(4, number)])
    assert stopped.value.exit_code == code
    assert signal.getsignal(number) is before
    with pytest.raises(CallWrong, match=r"out\.run holds an unfinished run, saved after step 4: go on with --resume"):
        run(asked, out, quiet)
    assert run(asked, out, quiet, resume=True).version == version


def test_a_second_signal_leaves_at_once(asked: Recipe, tmp_path: Path) -> None:
    twice = [Signal(4, signal.SIGTERM), Signal(4, signal.SIGTERM)]
    with pytest.raises(SystemExit) as left:
        run(asked, tmp_path / "out", quiet, callbacks=twice)
    assert left.value.code == 143
    assert steps(tmp_path / "out") == [1, 2, 3]
    assert not list((tmp_path / "out.run" / "state").iterdir())


def test_a_run_that_is_told_to_stop_before_its_first_step_leaves_at_once(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY | {"corpus": 1000}))
    process = called(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")], tmp_path / "log")
    while not (tmp_path / "out.run" / "rows").exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert ended(process) == 143
    assert "SIGTERM: stopped" in (tmp_path / "log").read_text()
    assert not (tmp_path / "out.run").exists()


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(
    asked: Recipe, version: CheckpointId, tmp_path: Path
) -> None:
    file, out, log = tmp_path / "recipe.yaml", tmp_path / "out", tmp_path / "log"
    file.write_text(yaml.safe_dump(asked.model_dump(exclude_unset=True)))
    call = ["train", str(file), "--out", str(out), "--save-minutes", "0"]
    assert ended(called(call, log, largest_file=LARGEST_FILE)) == 1
    said = log.read_text()
    assert f"the state of step 1 cannot be written to {tmp_path}/out.run/state" in said
    assert "GiB are free" in said
    assert "--resume goes on" in said
    assert not list((tmp_path / "out.run" / "state").iterdir())
    assert not (out / MANIFEST).exists()
    assert ended(called([*call, "--resume"], log)) == 0
    assert read_manifest(out).version == version


def test_a_disk_too_full_for_the_rows_is_named(asked: Recipe, tmp_path: Path) -> None:
    file, log = tmp_path / "recipe.yaml", tmp_path / "log"
    file.write_text(yaml.safe_dump(asked.model_dump(exclude_unset=True)))
    assert ended(called(["train", str(file), "--out", str(tmp_path / "out")], log, largest_file=10_000)) == 1
    assert f"File too large: '{tmp_path}/out.run/rows/comments'" in log.read_text()
    assert not (tmp_path / "out.run").exists()


class Filled(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """After the last step there is little room left on a disk."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_end(self, *_: Any, **__: Any) -> None:
        disk = os.statvfs(self.file.parent)
        self.file.write_bytes(bytes(disk.f_bavail * disk.f_bsize - 50_000))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_too_full_to_publish_on_costs_no_step(asked: Recipe, version: CheckpointId, small: Path) -> None:
    filled = Filled(small / "other")
    with pytest.raises(WriteFailed, match=r"the checkpoint cannot be written to .*small/out, where 0\.0 GiB are free"):
        run(asked, small / "out", quiet, callbacks=[filled])
    assert not any((small / "out").iterdir()), "nothing half-written is to be seen"
    filled.file.unlink()
    said: list[str] = []
    assert run(asked, small / "out", said.append, resume=True).version == version
    assert f"going on after step {STEPS}" in said


def test_a_step_whose_loss_is_no_number_ends_the_run_and_keeps_the_state_before(tmp_path: Path) -> None:
    wild = recipe(optimisation={"batch": 8, "learning_rate": 1e30, "warmup": 0.0})
    with pytest.raises(
        TrainingDiverged, match=r"step 2: the (loss|gradient) is (nan|inf); its rows: comments \d"
    ) as said:
        run(wild, tmp_path / "out", quiet, save_minutes=0)
    assert f"the state of step 1 is kept in {tmp_path}/out.run/state/checkpoint-1" in str(said.value)
    assert "suite" in str(said.value)
    assert not any((tmp_path / "out").iterdir())
    assert steps(tmp_path / "out") == [1]


def test_a_run_goes_on_with_the_same_recipe_only(asked: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TrainingStopped):
        run(asked, out, quiet, callbacks=[Signal(2, signal.SIGTERM)])
    other = asked.model_copy(update={"seed": 7, "loss": "completion"})
    with pytest.raises(
        CallWrong, match=r'recipe\.loss was "constrained", now it is "completion"; recipe\.seed was 0, now it is 7'
    ):
        run(other, out, quiet, resume=True)
    assert not (out / MANIFEST).exists()


def test_a_run_goes_on_with_the_same_data_only(tmp_path: Path) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "out"
    comments = list(Corpus(load_phrasebook(), "train").comments(41))
    write_comments(comments[:40], data)
    own = recipe(corpus={"comments": [str(data)], "taxonomy": str(BUNDLED_TAXONOMY)})
    with pytest.raises(TrainingStopped):
        run(own, out, quiet, callbacks=[Signal(2, signal.SIGTERM)])
    write_comments([*comments[:39], comments[40]], data)
    with pytest.raises(CallWrong, match=r"rows.comments was \"[0-9a-f]{16}\", now it is"):
        run(own, out, quiet, resume=True)


def test_what_is_published_is_not_trained_again(asked: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(asked, out, quiet, resume=True).version
    said: list[str] = []
    assert run(asked, out, said.append, resume=True).version == first
    assert said == [f"{out} is published already"]
    with pytest.raises(CallWrong, match="seed was 0, now it is 1"):
        run(asked.model_copy(update={"seed": 1}), out, quiet, resume=True)


def test_steps_are_logged_for_people_and_programs(asked: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TrainingStopped):
        run(asked, out, quiet, callbacks=[Signal(5, signal.SIGTERM)])
    manifest = run(asked, out, quiet, resume=True)
    logged = list(read_steps(tmp_path / "out.run" / "steps.jsonl"))
    assert [step["step"] for step in logged] == list(range(1, STEPS + 1))
    assert manifest.training["loss"] == pytest.approx(sum(step["loss"] for step in logged) / STEPS)
    assert sum(step["supervised_tokens"] for step in logged) == sum(
        mix["tokens"] for mix in manifest.data["mix"].values()
    )
    assert all(step["tokens"] > step["supervised_tokens"] > 0 for step in logged)
    assert sorted(step["seconds"] for step in logged) == [step["seconds"] for step in logged]
    board = EventAccumulator(str(tmp_path / "out.run" / "tensorboard"))
    board.Reload()
    for name in ("loss", "learning_rate", "grad_norm", "tokens_per_s", "supervised_tokens_per_s"):
        assert [event.step for event in board.Scalars(f"train/{name}")] == list(range(1, STEPS + 1))


def test_steps_go_to_mlflow_where_it_is_configured(
    asked: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run(asked, tmp_path / "out", quiet)
    client = mlflow.MlflowClient(f"file:{tmp_path}/mlflow")
    (found,) = client.search_runs(["0"])
    logged = client.get_metric_history(found.info.run_id, "loss")
    assert [metric.step for metric in logged] == list(range(1, STEPS + 1))


def test_a_folder_that_is_gone_itself_is_named_too(tmp_path: Path) -> None:
    gone = tmp_path / "run" / "state"
    told = rf"the log cannot be written to {gone}, where .* GiB are free"
    with pytest.raises(WriteFailed, match=told), writing("the log", gone, (OSError,)):
        raise FileNotFoundError(gone)
