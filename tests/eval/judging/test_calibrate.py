"""Calibration finds what was done to the probabilities, and a threshold that keeps what it promises."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from eval.judging.calibrate import (
    Confidences,
    calibrate,
    confidences,
    ece,
    fitted,
    held_out,
    review_below,
    risk_coverage,
)
from eval.scoring.predictions import Prediction, Segment
from route_feedback import main
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import LabelledComment, Span
from taxonomy.errors import DataInvalid
from taxonomy.labels import LEVELS

probabilities = st.floats(0, 1)


def drawn(temperature: float = 2.0, bias: float = -0.5, count: int = 6000, seed: int = 0) -> Confidences:
    """Segments that are right as often as their probability says, told with more confidence than that."""
    rng = np.random.default_rng(seed)
    true = {"L1": rng.beta(6, 2, count), "emotion": rng.beta(8, 1, count)}
    right = {name: rng.random(count) < p for name, p in true.items()}
    return Confidences(
        comment=np.repeat(np.arange(count // 2), 2),
        probability={name: expit((logit(p) - bias) * temperature) for name, p in true.items()},
        right=right,
        known={name: np.ones(count, dtype=bool) for name in true},
        right_leaf=right["L1"],
    )


def test_the_map_that_was_put_in_is_found() -> None:
    scale = fitted(drawn(), "L1", np.ones(6000, dtype=bool))
    for told in (0.5, 0.7, 0.9, 0.97, 0.99):
        assert scale.of(told) == pytest.approx(expit(logit(told) / 2 - 0.5), abs=0.05)


def test_a_segment_that_is_cut_wrongly_is_not_taken_for_sure_however_sure_its_labels_are() -> None:
    rng = np.random.default_rng(0)
    told = rng.beta(1.2, 0.8, 6000)
    right = rng.random(6000) < 0.93 * told
    found = Confidences(
        np.arange(6000),
        {"L1": told, "emotion": told},
        {"L1": right, "emotion": right},
        {name: np.ones(6000, dtype=bool) for name in ("L1", "emotion")},
        right,
    )
    scale = fitted(found, "L1", np.ones(6000, dtype=bool))
    assert scale.upper_temperature
    assert scale.upper_temperature > scale.temperature
    assert ece(held_out(found)["L1"], right) < 0.02


def test_calibrated_probabilities_are_right_as_often_as_they_say() -> None:
    found = calibrate(drawn(), wanted_error=0.1)
    for figures in found.figures.values():
        assert figures["ece"] < 0.03 < figures["ece_before"]
        assert figures["brier"] < figures["brier_before"]


def test_what_is_not_reviewed_is_wrong_as_seldom_as_wanted() -> None:
    found, fresh = calibrate(drawn(), wanted_error=0.2), drawn(seed=1)
    each = [{name: p[n] for name, p in fresh.probability.items()} for n in range(6000)]
    surest = np.array([min(found.applied(confidence).values()) for confidence in each])
    accepted = surest >= found.review_below
    wrong = ~(fresh.right["L1"] & fresh.right["emotion"])
    assert wrong[accepted].mean() == pytest.approx(0.2, abs=0.02)
    assert wrong[~accepted].mean() > 0.3
    assert accepted.mean() == pytest.approx(found.coverage, abs=0.03)


def test_no_segment_is_calibrated_by_a_scale_that_saw_its_comment() -> None:
    found = drawn(count=400)
    before = held_out(found)["L1"]
    turned = found.right["L1"].copy()
    turned[:2] = ~turned[:2]
    after = held_out(replace(found, right=found.right | {"L1": turned}))["L1"]
    assert before[:2] == pytest.approx(after[:2], abs=1e-12)
    assert not np.allclose(before, after, atol=1e-12)


@given(p=probabilities, q=probabilities, temperature=st.floats(0.05, 20), bias=st.floats(-10, 10))
@settings(max_examples=200, deadline=None)
def test_a_scale_gives_probabilities_and_keeps_their_order(p: float, q: float, temperature: float, bias: float) -> None:
    scale = Scale(temperature=temperature, bias=bias)
    low, high = scale.of(min(p, q)), scale.of(max(p, q))
    assert 0 <= low <= high <= 1


@given(p=probabilities)
@settings(max_examples=50, deadline=None)
def test_temperature_one_without_bias_changes_nothing(p: float) -> None:
    assert Scale(temperature=1, bias=0).of(p) == pytest.approx(p, abs=2e-6)


def test_no_level_is_surer_than_the_one_above_it() -> None:
    scales = {
        "L1": Scale(temperature=1, bias=-3),
        "L2": Scale(temperature=1, bias=0),
        "emotion": Scale(temperature=1, bias=0),
    }
    found = Calibration(scales=scales, review_below=0.5, wanted_error=0.1, coverage=1, comments=1, segments=1)
    applied = found.applied({"L1": 0.6, "L2": 0.5, "emotion": 0.9})
    assert applied["L1"] == applied["L2"] < 0.1
    assert applied["emotion"] == pytest.approx(0.9)


@given(
    rows=st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=40),
    wanted=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
)
@settings(max_examples=200, deadline=None)
def test_the_threshold_accepts_all_it_can_and_no_more(rows: list[tuple[float, bool]], wanted: float) -> None:
    surest, wrong = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    chosen = review_below(surest, wrong, wanted)
    accepted = surest >= chosen
    assert not accepted.any() or wrong[accepted].mean() <= wanted
    for lower in {value for value in surest.tolist() if value < chosen}:
        assert wrong[surest >= lower].mean() > wanted
    assert risk_coverage(surest, wrong)[-1].coverage == 1.0


def test_ece_of_what_is_sure_and_half_wrong_is_one_half() -> None:
    assert ece(np.ones(10), np.arange(10) < 5) == 0.5
    assert ece(np.array([0.75] * 4), np.array([True, True, True, False])) == 0.0


GOLD = [LabelledComment(str(n), "0123456789", (Span(0, 5, ("a",), "neutral"),)) for n in range(60)]


def predicted(n: int, **confidence: float) -> Prediction:
    sure = {"L1": 0.9 - n / 1000, "emotion": 0.8} | confidence
    place = (0, 5) if n % 4 else (7, 9)
    return Prediction(str(n), (Segment(*place, ("a",) if n % 3 else ("b",), "neutral", sure),))


def test_a_segment_in_the_wrong_place_is_wrong_at_every_level_and_its_emotion_is_not_known() -> None:
    found = confidences(GOLD, [predicted(n) for n in range(60)])
    assert found.right["L1"].tolist() == [bool(n % 3 and n % 4) for n in range(60)]
    assert found.known["emotion"].tolist() == [bool(n % 4) for n in range(60)]
    assert found.known["L1"].all()


def test_predictions_without_confidences_are_named() -> None:
    bare = [Prediction(c.id, (Segment(0, 5, ("a",), "neutral", {"L1": 0.5}),)) for c in GOLD]
    with pytest.raises(DataInvalid, match=r"60 confidences are missing, first 0 segments\[0\].confidence.emotion"):
        confidences(GOLD, bare)


def test_too_few_comments_are_refused() -> None:
    with pytest.raises(DataInvalid, match="too few"):
        calibrate(confidences(GOLD[:9], [predicted(n) for n in range(9)]), 0.1)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Gold and predictions of the bundled checkpoint, and a copy of its manifest."""
    (tmp_path / "checkpoint").mkdir()
    shutil.copy(BUNDLED_CHECKPOINT / "manifest.json", tmp_path / "checkpoint")
    folder = tmp_path / "checkpoint"
    publish(folder, read_manifest(folder).model_copy(update={"calibration": None}))
    levels = {"L1": "a", "L2": "b", "L3": "c", "L4": "d"}
    with (tmp_path / "gold.jsonl").open("w") as gold, (tmp_path / "pred.jsonl").open("w") as pred:
        for n in range(80):
            segment: dict[str, Any] = {"content": "late", **levels, "emotion": "neutral"}
            gold.write(json.dumps({"id": str(n), "comment": "late", "segments": [segment]}) + "\n")
            sure = dict.fromkeys([*levels, "emotion"], 0.5 + n / 200)
            segment |= {"L4": "d" if n % 5 else "e", "confidence": sure}
            row = {"id": str(n), "segments": [segment], "checkpoint": read_manifest(folder).version}
            pred.write(json.dumps(row) + "\n")
    return ["eval", "calibrate", f"--gold={tmp_path / 'gold.jsonl'}", f"--pred={tmp_path / 'pred.jsonl'}"]


def test_the_command_records_the_calibration_once(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "checkpoint"
    assert main([*files, f"--record={folder}", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    recorded = read_manifest(folder).calibration
    assert recorded == Calibration.model_validate(printed)
    assert recorded
    assert recorded.figures["L4"]["accuracy"] == 0.8
    assert main([*files, f"--record={folder}"]) == 2
    assert "is calibrated, so what its service answered was calibrated already" in capsys.readouterr().err


def test_predictions_of_another_checkpoint_are_not_recorded(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (tmp_path / "pred.jsonl").read_text().replace(read_manifest(tmp_path / "checkpoint").version, "ck_other")
    (tmp_path / "pred.jsonl").write_text(text)
    assert main([*files, f"--record={tmp_path / 'checkpoint'}"]) == 1
    assert "is by ck_other and not by ck_" in capsys.readouterr().err
    assert main([*files, "--error=5"]) == 2


UNEVEN = [("a",), ("b", "c", "d", "e")]


def uneven(count: int, deep: int) -> tuple[list[LabelledComment], list[Prediction]]:
    """Comments of one segment, of which so many have a path of four levels; one in four is wrong from L1 on."""
    sure = {"L1": 0.9, "L2": 0.8, "L3": 0.7, "L4": 0.6, "emotion": 0.95}
    gold, predictions = [], []
    for n in range(count):
        path = UNEVEN[n < deep]
        gold.append(LabelledComment(str(n), "0123456789", (Span(0, 5, path if n % 4 else ("f",), "neutral"),)))
        reached = {name: sure[name] for name in (*LEVELS[: len(path)], "emotion")}
        predictions.append(Prediction(str(n), (Segment(0, 5, path, "neutral", reached),)))
    return gold, predictions


def test_a_level_that_a_path_does_not_reach_is_asked_for_no_confidence_and_not_judged() -> None:
    found = confidences(*uneven(100, 60))
    assert found.known["L1"].all()
    for level in ("L2", "L3", "L4"):
        assert found.known[level].tolist() == [n < 60 for n in range(100)]
        assert np.isnan(found.probability[level]).tolist() == [n >= 60 for n in range(100)]
    assert found.wrong.tolist() == [n % 4 == 0 for n in range(100)]


def test_levels_are_calibrated_on_the_segments_that_reach_them() -> None:
    found = calibrate(confidences(*uneven(100, 60)), wanted_error=0.3)
    assert {name: figures["segments"] for name, figures in found.figures.items()} == {
        "L1": 100,
        "L2": 60,
        "L3": 60,
        "L4": 60,
        "emotion": 100,
    }
    assert found.review_below == 0.0, "a quarter is wrong, and three in ten may be"
    assert found.applied({"L1": 0.9, "emotion": 0.95}).keys() == {"L1", "emotion"}


@pytest.mark.parametrize("deep", [0, 20])
def test_a_level_that_few_comments_reach_has_the_scale_above_it_and_no_figures(deep: int) -> None:
    found = calibrate(confidences(*uneven(100, deep)), wanted_error=0.3)
    assert found.figures.keys() == {"L1", "emotion"}
    assert found.scales["L2"] == found.scales["L3"] == found.scales["L4"] == found.scales["L1"]
    assert 0.7 < found.applied({"L1": 0.9, "L2": 0.9, "emotion": 0.95})["L2"] < 0.8


def test_a_confidence_of_a_level_that_the_path_reaches_is_asked_for() -> None:
    gold, predictions = uneven(60, 60)
    bare = [Prediction(p.id, (p.segments[0]._replace(confidence={"L1": 0.5, "emotion": 0.5}),)) for p in predictions]
    with pytest.raises(DataInvalid, match=r"180 confidences are missing, first 0 segments\[0\].confidence.L2"):
        confidences(gold, bare)
