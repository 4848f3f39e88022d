"""Whether a stretch holds no feedback is calibrated like labels are, on residue alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.judging.residue import calibrate_all, residue_confidences
from eval.scoring.predictions import Prediction, PredictionRow, ResidueSpan, Segment, match
from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.comments import LabelledComment, Span
from taxonomy.errors import DataInvalid

SURE = {"L1": 0.9, "emotion": 0.9}


def comments(count: int, held: float = 0.3) -> tuple[list[LabelledComment], list[Prediction]]:
    """A segment that is right, then residue; the surer it is told, the seldomer it is feedback."""
    rng = np.random.default_rng(0)
    gold, predictions = [], []
    for n in range(count):
        told = float(rng.uniform(0.5, 1))
        holds = rng.random() < held * 2 * (1 - told)
        spans = (Span(0, 5, ("a",), "neutral"), *([Span(6, 9, ("b",), "neutral")] if holds else []))
        gold.append(LabelledComment(str(n), "late. bad!", spans))
        segment = Segment(0, 5, ("a",), "neutral", SURE)
        predictions.append(Prediction(str(n), (segment,), (ResidueSpan(5, 10, told),)))
    return gold, predictions


@pytest.mark.parametrize(("start", "end", "right"), [(5, 10, False), (5, 6, True), (9, 10, True), (0, 1, False)])
def test_a_stretch_holds_feedback_where_a_letter_of_it_is_in_a_segment(start: int, end: int, right: bool) -> None:  # noqa: FBT001
    gold = [LabelledComment("1", "late. bad!", (Span(0, 5, ("a",), "neutral"), Span(5, 10, ("b",), "neutral")))]
    found = residue_confidences(gold, [Prediction("1", (), (ResidueSpan(start, end, 0.5),))])
    assert found.right.tolist() == [right]


def test_it_is_right_as_often_as_it_says_and_what_is_not_reviewed_as_seldom_wrong_as_wanted() -> None:
    gold, predictions = comments(3000)
    found = calibrate_all(gold, predictions, wanted_error=0.05)
    figures = found.figures["residue"]
    assert figures["ece"] < 0.03 < figures["ece_before"]
    assert figures["accuracy"] == pytest.approx(0.85, abs=0.03)
    assert found.residue_review_below is not None
    residue = residue_confidences(gold, predictions)
    sure = np.array([found.of_residue(p) for p in residue.probability])
    accepted = sure >= found.residue_review_below
    assert (~residue.right[accepted]).mean() == pytest.approx(0.05, abs=0.02)
    assert accepted.mean() == pytest.approx(found.residue_coverage, abs=0.05)


def test_segments_are_calibrated_as_without_residue() -> None:
    gold, predictions = comments(200)
    both = calibrate_all(gold, predictions, 0.05)
    alone = calibrate_all(gold, [p._replace(residue=()) for p in predictions], 0.05)
    assert alone.scales == {name: scale for name, scale in both.scales.items() if name != "residue"}
    assert (alone.residue_review_below, alone.residue_coverage) == (None, None)
    assert alone.of_residue(0.7) == 0.7


def test_residue_in_few_comments_has_no_scale() -> None:
    gold, predictions = comments(120)
    few = [p if n < 49 else p._replace(residue=()) for n, p in enumerate(predictions)]
    assert "residue" not in calibrate_all(gold, few, 0.05).scales


def test_a_scale_of_residue_has_a_threshold_and_no_threshold_stands_alone() -> None:
    given: dict[str, Any] = {"review_below": 0.5, "wanted_error": 0.1, "coverage": 1.0, "comments": 1, "segments": 1}
    with pytest.raises(ValueError, match="residue has a scale, a threshold and a coverage"):
        Calibration(**given, scales={"residue": Scale(temperature=1, bias=0)})
    with pytest.raises(ValueError, match="residue has a scale, a threshold and a coverage"):
        Calibration(**given, scales={}, residue_review_below=0.5, residue_coverage=0.5)


def test_residue_is_read_from_answers_and_what_is_wrong_with_it_is_named() -> None:
    gold = [LabelledComment("1", "late. bad!", ())]

    def row(*residue: dict[str, object]) -> PredictionRow:
        return PredictionRow("p.jsonl:1", "1", None, None, [], residue=list(residue))

    sure = {"content": "late. ", "start": 0, "end": 6, "confidence": 0.9}
    (read,) = match([row(sure, {"content": "bad!"})], gold, None).predictions
    assert read.residue == (ResidueSpan(0, 6, 0.9),)
    found = match([row(sure | {"content": "early"})], gold, None)
    assert found.faults == {"residue_not_in_comment": ["1 residue[0]"]}
    with pytest.raises(DataInvalid, match=r"p.jsonl:1: residue\[0\].confidence is not a probability"):
        match([row(sure | {"confidence": "high"})], gold, None)
