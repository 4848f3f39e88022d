"""The corner on a base of two small layers: what is planned, skipped, trained, mixed, paired, kept and reported."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eval.decoding.evaluation import General
from eval.general.figures import GeneralRun, GeneralScores, QuestionResult, read_questions
from route_feedback import main
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.comments import LabelledComment, labelled
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.language.answer import Part
from tests.support.bases import small_base
from train.data.chats import chat_of, write_chats
from train.experiment.corner.arms import ARMS, MIXED, TRAINED, Corner, Run, Setting, recipe_of
from train.experiment.corner.driver import SETTING, begin, corner_experiment
from train.experiment.corner.models import base_weights, mixed_weights
from train.experiment.corner.plan import RATE, planned, rates_of
from train.experiment.corner.report import plot, tables, write_report
from train.experiment.corner.results import (
    RESULTS,
    CornerResult,
    Domain,
    TaskScore,
    Training,
    add_result,
    read_corner,
)
from train.experiment.corner.scores import domain_scores, mean, mean_difference, mean_share, task_scores
from train.report.choice import Estimate

TASKS = ("arc_easy", "piqa")


def quiet(_: str) -> None:
    """Nobody reads along."""


def corner_in(folder: Path, base: str, *chats: Path, comments: int = 8) -> Corner:
    setting = Setting(base=base, comments=comments, test_comments=3, tasks=TASKS, limit=20, precision="float32")
    return Corner(folder, setting, folder, chats)


def questions(task: str, right: list[bool]) -> list[QuestionResult]:
    return [
        QuestionResult(task, None, f"{task}/{n}", f"hash {n}", {"accuracy": (is_right,)}, "A")
        for n, is_right in enumerate(right)
    ]


def scripted(model: str, general: General, _: Callable[[str], None]) -> GeneralRun:
    """Knows everything as the base, and half of it as anything else."""
    share = 1.0 if Path(model).name == "base" else 0.5
    rng = random.Random(0)
    asked = [q for task in general.tasks for q in questions(task, [rng.random() < share for _ in range(20)])]
    return GeneralRun(GeneralScores("scripted", general.limit), asked)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_base(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    write_chats((chat_of(f"What is {n} and {n}?", f"It is {n + n}, of course.") for n in range(40)), file)
    return file


@pytest.fixture(scope="module")
def done(base: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Corner, list[str]]:
    """Trained, mixed and scored once; and what was said of it."""
    corner = corner_in(tmp_path_factory.mktemp("corner"), base)
    said: list[str] = []
    arms = ["constrained", "constrained, public chats", "constrained, alpha 0.5", "constrained, LoRA, alpha 0.7"]
    corner_experiment(corner, [Run(arm, 0) for arm in arms], said.append, scripted)
    return corner, said


def test_every_run_is_a_line_with_both_axes_and_what_it_took(done: tuple[Corner, list[str]]) -> None:
    corner, _ = done
    base, constrained, mixed = read_corner(corner.folder)
    assert [each.arm for each in (base, constrained, mixed)] == ["base", "constrained", "constrained, alpha 0.5"]
    assert (base.domain, base.difference, base.training, mixed.training) == (None, None, None, None)
    assert constrained.training
    assert constrained.training.steps == 1
    assert constrained.training.tokens > 8
    assert constrained.training.threads == torch.get_num_threads()
    assert constrained.checkpoint == read_manifest(corner.folder / "constrained-0").version
    for result in (constrained, mixed):
        assert result.domain
        assert 0 <= result.domain.leaf.value <= result.domain.l1.value <= result.domain.spans.value <= 1
        assert set(result.tasks) == set(TASKS)
        assert result.difference
        assert result.difference.value == pytest.approx(result.general.value - base.general.value)


def test_an_arm_that_cannot_be_run_is_named_with_its_reason(done: tuple[Corner, list[str]]) -> None:
    _, said = done
    assert "skipped: constrained, public chats, seed 0: learns public chats beside the comments: give --chats" in said
    assert (
        "skipped: constrained, LoRA, alpha 0.7, seed 0: made of constrained, LoRA, seed 0, which is not trained here"
        in said
    )


def test_a_second_call_keeps_what_is_there(done: tuple[Corner, list[str]]) -> None:
    corner, _ = done
    before = (corner.folder / RESULTS).read_text()

    def never(*_: object) -> GeneralRun:
        raise AssertionError("nothing is to be asked again")

    corner_experiment(corner, [Run("constrained", 0), Run("constrained, alpha 0.5", 0)], quiet, never)
    assert (corner.folder / RESULTS).read_text() == before


def test_a_run_that_was_killed_before_it_was_scored_is_scored_and_not_trained_again(
    done: tuple[Corner, list[str]],
) -> None:
    corner, _ = done
    lines = (corner.folder / RESULTS).read_text().splitlines(keepends=True)
    (corner.folder / RESULTS).write_text(lines[0] + lines[2])
    said: list[str] = []
    results = corner_experiment(corner, [Run("constrained", 0)], said.append, scripted)
    again = next(result for result in results if result.arm == "constrained")
    then = CornerResult.model_validate_json(lines[1])
    assert again.model_copy(update={"scoring_s": then.scoring_s}) == then
    assert any("published already" in line for line in said)


def test_half_of_the_way_is_the_mean_of_both_weights(done: tuple[Corner, list[str]]) -> None:
    corner, _ = done
    with mixed_weights(corner, Run("constrained, alpha 0.5", 0), quiet) as folder:
        mixed = load_file(folder / "model.safetensors")
    base, tuned = (load_file(corner.folder / name / "model.safetensors") for name in ("base", "constrained-0"))
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(base[name], tuned[name])
    torch.testing.assert_close(mixed[name], (base[name] + tuned[name]) / 2)
    assert not folder.exists()


def test_a_folder_of_another_setting_is_refused_by_what_differs(done: tuple[Corner, list[str]]) -> None:
    corner, _ = done
    other = corner.setting.model_copy(update={"comments": 9})
    with pytest.raises(CallWrong, match="is an experiment of comments 8, not 9; give another folder"):
        begin(Corner(corner.folder, other, corner.data))
    assert json.loads((corner.folder / SETTING).read_text())["comments"] == 8


@pytest.mark.parametrize("arm", TRAINED)
def test_every_arms_recipe_is_one_and_says_what_its_name_says(arm: str, tmp_path: Path) -> None:
    recipe = recipe_of(corner_in(tmp_path, "somewhere", tmp_path / "chats.jsonl"), Run(arm, 3), rows_share=0.2)
    assert (recipe.seed, recipe.base) == (3, "somewhere")
    assert recipe.loss == ("completion" if "completion" in arm else "constrained")
    assert recipe.form == ("verbatim" if "completion" in arm else "marked")
    assert (recipe.adapter is not None) == ("LoRA" in arm)
    assert (recipe.adapter.rank if recipe.adapter else 32) == 32
    assert (recipe.replay_kl > 0) == ("KL" in arm)
    assert [source.name for source in recipe.replay] == (
        ["own"] if "self" in arm else ["public"] if "chats" in arm or "75/25" in arm else []
    )
    assert recipe.optimisation.comments == (6 if "75/25" in arm else 8)


def test_the_points_between_are_those_of_constrained_arms() -> None:
    assert {mixed.of for mixed in MIXED.values()} == {arm for arm in TRAINED if arm.startswith("constrained")}
    assert len({Run(arm, 0).name for arm in ARMS}) == len(ARMS)


def test_a_plan_counts_tokens_and_hours_and_trains_nothing(base: str, chats: Path, tmp_path: Path) -> None:
    # So many that the shares of chats can be met.
    corner = corner_in(tmp_path / "corner", base, chats, comments=60)
    arms = ["completion, rows 75/25", "constrained", "constrained, self-replay", "constrained, alpha 0.5"]
    runs = [*(Run(arm, 0) for arm in arms), Run("constrained, LoRA, alpha 0.5", 0)]
    lines = list(planned(corner, runs, quiet, rate=100))
    tokens = [int(line.split(": ")[1].split(" ")[0].replace(",", "")) for line in lines[1:4]]
    assert lines[0] == "base, seed 0: nothing to train, scored alone"
    assert tokens[2] > tokens[1] > 0
    assert "its own chats, which are not made yet, counted by public ones" in lines[3]
    assert lines[4] == "constrained, alpha 0.5, seed 0: nothing to train, scored alone"
    assert lines[5].startswith("skipped: constrained, LoRA, alpha 0.5")
    hours = sum(tokens) / 100 / 3600
    assert lines[6] == f"in all {sum(tokens):,} tokens, {hours:.1f} h of training at 100 tokens a second (as given)"
    assert lines[7] == "5 models to be scored: not measured yet"
    assert {file.name for file in corner.folder.iterdir()} == {SETTING, "train.jsonl", "test.jsonl"}


def test_hours_are_reckoned_by_the_folders_own_trainings_where_it_has_some() -> None:
    own = [
        result_of("constrained", seconds=100, tokens=5_000),
        result_of("constrained, LoRA", seconds=50, tokens=4_000),
    ]
    assert rates_of(own, None)[:2] == (60, 7)
    assert rates_of(own, 5)[0] == 5
    assert rates_of([], None)[:2] == (RATE, None)


def estimate(value: float, spread: float = 0.1) -> Estimate:
    return Estimate(value=value, interval_95=(value - spread, value + spread))


def result_of(arm: str, seed: int = 0, *, seconds: int = 10, tokens: int = 100, leaf: float = 0.4) -> CornerResult:
    is_base = arm == "base"
    scores = Domain(leaf=estimate(leaf), l1=estimate(0.6), spans=estimate(0.9), emotion=None)
    training = Training(seconds=seconds, steps=1, tokens=tokens, threads=2, mix={})
    task = TaskScore(figure="accuracy", asked=20, share=estimate(0.5), difference=None if is_base else estimate(-0.25))
    return CornerResult(
        arm=arm,
        seed=seed,
        domain=None if is_base else scores,
        tasks={"arc_easy": task},
        general=estimate(0.5),
        difference=None if is_base else estimate(-0.25),
        checkpoint=None,
        training=training if arm in TRAINED else None,
        scoring_s=7,
        threads=2,
    )


def test_results_come_back_as_they_were_written_one_after_the_other(tmp_path: Path) -> None:
    written = [result_of("base"), result_of("constrained"), result_of("constrained", seed=1)]
    for result in written:
        add_result(tmp_path, result)
    assert read_corner(tmp_path) == written
    line = (tmp_path / RESULTS).read_text().splitlines()[1]
    (tmp_path / RESULTS).write_text(line.replace('"seed": 0', '"seed": "none"'))
    with pytest.raises(DataInvalid, match=r"results\.jsonl:1: seed: "):
        read_corner(tmp_path)


def test_the_report_shows_each_run_on_both_axes_and_the_study_beside_it(tmp_path: Path) -> None:
    results = [result_of("constrained, alpha 0.5"), result_of("constrained", leaf=0.37), result_of("base")]
    write_report(results, tmp_path)
    text = (tmp_path / "corner.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| base", "| constrained"))]
    assert rows[0] == "| base | 0 | - | - | - | - | 0.500 (0.400 to 0.600) | - |"
    assert rows[1].startswith("| constrained | 0 | 0.370 (0.270 to 0.470) | 0.600")
    assert rows[1].endswith("| - | 0.500 (0.400 to 0.600) | -0.250 (-0.350 to -0.150) |")
    assert rows[2].startswith("| constrained, alpha 0.5 |")
    assert "| Qwen3-30B-A3B | customer data only | 0.5552 | 0.0038 |" in text
    assert "<svg" in (tmp_path / "corner.svg").read_text()
    ours, study = plot(results).axes
    points = {container.get_label(): np.asarray(container[0].get_xydata()).tolist() for container in ours.containers}
    assert points == {"constrained": [[0.5, 0.37]], "constrained, alpha 0.5": [[0.5, 0.4]]}
    assert [np.asarray(line.get_xydata()).tolist() for line in study.get_lines()] == [
        [[0.75, 0.387], [0.47, 0.5537], [0.74, 0.5]],
        [[0.0038, 0.5552]],
    ]
    assert list(tables(results))[-1] == ""


def test_a_difference_is_of_pairs_and_its_interval_holds_it() -> None:
    before = questions("arc_easy", [True] * 12 + [False] * 8)
    now = questions("arc_easy", [True] * 8 + [False] * 10 + [True] * 2)
    score = task_scores(now, before)["arc_easy"]
    assert (score.asked, score.share.value) == (20, 0.5)
    assert score.difference
    low, high = score.difference.interval_95
    assert score.difference.value == pytest.approx(-0.1)
    assert -0.5 < low < -0.1 < high < 0.3
    other_way = task_scores(before, now)["arc_easy"].difference
    assert other_way
    assert (-other_way.interval_95[1], -other_way.interval_95[0]) == pytest.approx((low, high))
    assert task_scores(before, None)["arc_easy"].difference is None
    with pytest.raises(DataInvalid, match="arc_easy: the base was asked other questions"):
        task_scores(now, before[:-1])


def test_the_mean_counts_each_task_alike_and_is_surer_than_one_of_them() -> None:
    both = mean([estimate(0.2, 0.1), estimate(0.6, 0.1)])
    assert both.value == pytest.approx(0.4)
    assert both.interval_95 == pytest.approx((0.4 - 0.1 / 2**0.5, 0.4 + 0.1 / 2**0.5))
    tasks = task_scores([*questions("arc_easy", [True, False]), *questions("piqa", [True] * 10)], None)
    assert mean_share(tasks).value == pytest.approx(0.75)
    assert mean_difference(tasks) is None


def test_comments_are_scored_by_leaf_area_span_and_emotion() -> None:
    path = ("A", "B", "C", "D")
    gold = labelled("1", [Part("It came late. ", path, "negative"), Part("I like it.", ("E", "F"), "positive")])
    guess = labelled("1", [Part("It came late. ", ("A", "X"), "negative"), Part("I like it.", ("E", "F"), "neutral")])
    scores = domain_scores([gold], [guess])
    assert (scores.leaf.value, scores.l1.value, scores.spans.value) == (0.5, 1, 1)
    assert scores.emotion
    assert scores.emotion.value == 0.5
    nothing: LabelledComment = labelled("1", [Part(gold.comment)])
    assert domain_scores([gold], [nothing]).emotion is None
    with pytest.raises(DataInvalid, match="no segment"):
        domain_scores([nothing], [nothing])


def test_the_base_is_written_once_in_the_precision_of_all(base: str, tmp_path: Path) -> None:
    corner = corner_in(tmp_path, base)
    lower = Corner(tmp_path, corner.setting.model_copy(update={"precision": "bfloat16"}), tmp_path)
    written = base_weights(lower)
    assert {tensor.dtype for tensor in load_file(written / "model.safetensors").values()} == {torch.bfloat16}
    assert base_weights(corner) == written


def test_the_bases_questions_are_kept_for_the_pairs(done: tuple[Corner, list[str]]) -> None:
    corner, _ = done
    kept = list(read_questions(corner.folder / "questions" / "base-0.jsonl"))
    assert [question.benchmark for question in kept] == ["arc_easy"] * 20 + ["piqa"] * 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arms", "magic"], "there is no arm magic"),
        (["--tasks", "chess"], "--tasks: 'chess' is none of"),
        (["--chats", "nowhere.jsonl"], "--chats nowhere.jsonl: there is no file of chats"),
        ([], "holds the data of no general task"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [] if not words or "--tasks" in words else ["--tasks", "arc_easy"]
    command = ["train", "corner", str(tmp_path / "corner"), "--data", str(tmp_path), *tasks, *words]
    assert main(command) == CallWrong.exit_code
    assert said in capsys.readouterr().err
