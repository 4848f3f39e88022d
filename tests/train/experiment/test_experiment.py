"""The experiment at its smallest: two arms of few comments from a base of few tokens, in processes of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eval.general.suite import write_questions
from route_feedback import main
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.comments import read_comments, write_comments
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.formats.registry import load_taxonomy
from train.corpus.clinc import write_clinc
from train.corpus.generator import Corpus, load_phrasebook
from train.corpus.suite import suite
from train.experiment.arms import ARMS, BASE, ArmRun, Domain, recipe_of
from train.experiment.base import base_at
from train.experiment.driver import RESULTS, experiment
from train.experiment.results import ArmResult, read_results, write_results
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
CHOSEN = ["completion", "constrained, replay"]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment tells its processes by variables how many threads to take; no later test is to take as many."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose files and base are there already, and small."""
    folder = tmp_path_factory.mktemp("experiment")
    book = load_phrasebook()
    write_comments(Corpus(book, "train").comments(32), folder / "voc-train.jsonl")
    write_comments(Corpus(book, "test").comments(5), folder / "voc-test.jsonl")
    write_questions(suite("test", 22, 0), folder / "suite-test.jsonl")
    for name in ("suite-train", "general"):
        write_questions(suite("train", 300, 0), folder / f"{name}.jsonl")
    general = [{"name": "suite", "chats": [str(folder / "suite-train.jsonl")], "share": 1}]
    only = {"corpus": 32, "exposures": 0, "tokens": 800, "replay": general, "architecture": SHAPE}
    run(Recipe.model_validate(only), folder / "base", lambda _: None)
    return folder


def test_every_run_is_measured_on_both_axes_and_never_twice(folder: Path) -> None:
    arms = [argument for arm in CHOSEN for argument in ("--arms", arm)]
    command = ["train", "experiment", str(folder), *arms, "--seeds", "1", "--comments", "32"]
    assert main(command) == 0
    results = read_results(folder / RESULTS)
    assert [(result.arm, result.seed) for result in results] == [("base", 0), *((arm, 0) for arm in CHOSEN)]
    for result in results:
        assert 0 <= result.leaf_f1 <= result.span_f1 <= 1
        assert 0 <= result.general <= 1
        assert result.gsm8k_nll is None
    assert [result.steps for result in results[1:]] == [8, 8]
    assert results[2].mix["general"].asked == ARMS["constrained, replay"].share
    table = (folder / "experiment.md").read_text()
    assert all(f"| {arm} | 1 |" in table for arm in ("base", *CHOSEN))
    assert "<svg" in (folder / "experiment.svg").read_text()

    assert main(command) == 0
    assert read_results(folder / RESULTS) == results


def test_the_studys_mix_replaces_a_quarter_of_the_rows_and_replay_comes_on_top(folder: Path) -> None:
    domain = Domain("voc", folder / "t.yaml", folder / "voc-train.jsonl", folder / "voc-test.jsonl", 1000, 16)
    by_rows, on_top = (
        recipe_of(ArmRun(folder, domain, arm, 0), rows_share=0.04)
        for arm in ("completion, rows 75/25", "completion, replay")
    )
    assert (by_rows.optimisation.comments, by_rows.replay[0].share) == (750, 0.04)
    assert (on_top.optimisation.comments, on_top.replay[0].share) == (1000, 0.1)


def test_an_arm_that_is_none_is_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "experiment", str(folder), "--arms", "magic"]) == CallWrong.exit_code
    assert "no arm magic" in capsys.readouterr().err


def test_a_folder_of_other_comments_is_left_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in folder.glob("*.jsonl")}
    assert main(["train", "experiment", str(folder), "--comments", "33"]) == CallWrong.exit_code
    assert "is an experiment of 32 comments, not of 33" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in folder.glob("*.jsonl")} == before


def test_another_folder_can_begin_from_the_same_base_and_no_folder_changes_its_own(
    folder: Path, tmp_path: Path
) -> None:
    small = {"suite-test": 22, "general": 300}
    for name, count in small.items():
        write_questions(suite("test" if name == "suite-test" else "train", count, 0), tmp_path / f"{name}.jsonl")
    for name in ("voc-train", "voc-test"):
        shutil.copy(folder / f"{name}.jsonl", tmp_path)

    def begun_from(base: Path) -> list[ArmResult]:
        return experiment(tmp_path, print, seeds=0, exposures=32, at_once=1, base=base)

    (result,) = begun_from(folder / "base")
    assert result.checkpoint == read_manifest(folder / "base").version
    with pytest.raises(CallWrong, match="is another base than"):
        begun_from(BUNDLED_CHECKPOINT)


def test_a_domain_whose_data_is_not_given_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "experiment", str(folder), "--only", "clinc"]) == CallWrong.exit_code
    assert "give --clinc" in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(Path("docs/experiment").glob("*.jsonl")), ids=lambda file: str(file.stem))
def test_published_results_are_read_and_written_back_as_they_are(file: Path, tmp_path: Path) -> None:
    results = read_results(file)
    assert results
    write_results(results, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text() == file.read_text()


def test_a_line_that_is_no_result_is_named(tmp_path: Path) -> None:
    line = Path("docs/experiment/results.jsonl").read_text().splitlines()[0]
    file = tmp_path / "results.jsonl"
    file.write_text(line + "\n" + line.replace('"seed": 0', '"seed": "none"') + "\n")
    with pytest.raises(DataInvalid, match=r"results\.jsonl:2: seed: "):
        read_results(file)


@pytest.mark.parametrize(("name", "domain"), [("clinc", "clinc"), ("voc", "voc")])
def test_a_base_of_the_published_results_is_there_by_its_name(name: str, domain: str) -> None:
    folder = base_at(name)
    manifest = read_manifest(folder)
    verify(folder, manifest)
    file = Path("docs/experiment") / {"clinc": "results.jsonl", "voc": "voc-16000.jsonl"}[name]
    measured = [result for result in read_results(file) if (result.domain, result.arm) == (domain, BASE)]
    assert [result.checkpoint for result in measured] == [manifest.version]


def test_any_other_name_of_a_base_is_a_path() -> None:
    assert base_at("runs/base") == Path("runs/base")


def test_clinc_becomes_comments_of_one_segment_under_two_levels(tmp_path: Path) -> None:
    (tmp_path / "domains.json").write_text(json.dumps({"banking": ["pay_bill", "pin_change"], "travel": ["visa"]}))
    splits = {name: [["pay it, please", "pay_bill"], ["do i need a visa", "visa"]] for name in ("train", "test")}
    (tmp_path / "data_full.json").write_text(json.dumps(splits))

    write_clinc(tmp_path, tmp_path / "t.yaml", tmp_path / "train.jsonl", tmp_path / "test.jsonl")

    assert [leaf.path for leaf in load_taxonomy(tmp_path / "t.yaml").leaves] == [
        ("banking", "pay bill"),
        ("banking", "pin change"),
        ("travel", "visa"),
    ]
    one, other = read_comments(tmp_path / "test.jsonl")
    assert [(s.start, s.end, s.path) for s in one.segments] == [(0, 14, ("banking", "pay bill"))]
    assert other.segments[0].path == ("travel", "visa")
