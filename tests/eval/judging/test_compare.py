"""Comparisons say what a sample shows, and what it cannot."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from eval.judging.compare import McNemar, compare, detectable, mcnemar
from eval.scoring.predictions import Prediction, Segment
from route_feedback import main
from taxonomy.comments import LabelledComment, Span, write_comments
from taxonomy.errors import DataInvalid

A, B = ("a",), ("b",)


def comments(count: int) -> list[LabelledComment]:
    """Each with two segments."""
    return [
        LabelledComment(str(n), "0123456789", (Span(0, 5, A, "neutral"), Span(5, 10, A, "neutral")))
        for n in range(count)
    ]


def predictions(gold: list[LabelledComment], right: float, seed: int) -> list[Prediction]:
    """A comment's two segments are right or wrong together."""
    rng = random.Random(seed)
    return [
        Prediction(c.id, tuple(Segment(s.start, s.end, path, s.emotion) for s in c.segments))
        for c in gold
        for path in [A if rng.random() < right else B]
    ]


def test_a_candidate_that_is_the_baseline_differs_by_nothing() -> None:
    gold = comments(50)
    same = predictions(gold, 0.7, 1)
    found = compare(gold, same, same)
    f1 = found.leaf_f1
    assert (f1.difference, f1.lower_95, f1.upper_95, f1.minimum_detectable) == (0, 0, 0, 0)
    assert found.mcnemar.segments.p is found.mcnemar.comments.p is None


def test_a_great_difference_is_shown_and_a_small_one_on_few_comments_is_not() -> None:
    gold = comments(200)
    great = compare(gold, predictions(gold, 0.9, 1), predictions(gold, 0.5, 2))
    assert great.leaf_f1.lower_95 > 0.2
    assert great.mcnemar.comments.p is not None
    assert great.mcnemar.comments.p < 1e-6
    gold = comments(30)
    small = compare(gold, predictions(gold, 0.72, 1), predictions(gold, 0.7, 2)).leaf_f1
    assert small.difference_95[0] < 0 < small.difference_95[1]
    assert small.minimum_detectable > 0.2, "nobody is to read a difference of 0.02 out of 30 comments"


def test_bounds_are_in_order_and_turn_over_with_the_sides() -> None:
    gold = comments(100)
    one, other = predictions(gold, 0.8, 3), predictions(gold, 0.6, 4)
    there, back = compare(gold, one, other).leaf_f1, compare(gold, other, one).leaf_f1
    assert there.difference_95[0] < there.lower_95 < there.difference < there.upper_95 < there.difference_95[1]
    assert back.difference == -there.difference
    assert back.upper_95 == pytest.approx(-there.lower_95, abs=0.02)


def test_segments_of_a_comment_count_as_one_draw() -> None:
    """The error is that of 100 comments which are right or wrong as a whole, not that of 200 segments."""
    gold = comments(100)
    one, other = predictions(gold, 0.8, 3), predictions(gold, 0.6, 4)
    right = np.array([[p.segments[0].path == A for p in side] for side in (one, other)], dtype=float)
    error = float((right[0] - right[1]).std(ddof=1)) / 10
    assert compare(gold, one, other).leaf_f1.minimum_detectable == pytest.approx(detectable(error), rel=0.1)


def test_what_is_called_detectable_is_detected_in_four_of_five_samples() -> None:
    rng = np.random.default_rng(0)
    estimates = rng.normal(detectable(0.01), 0.01, 20_000)
    assert (estimates > 1.6449 * 0.01).mean() == pytest.approx(0.8, abs=0.01)


def test_whole_comments_are_wrong_with_one_segment_too_many() -> None:
    gold = comments(1)
    good = predictions(gold, 1, 0)
    more = [Prediction("0", (*good[0].segments, Segment(0, 0, A, "neutral")))]
    found = compare(gold, more, good)
    assert found.mcnemar.segments == McNemar(0, 0, None)
    assert found.mcnemar.comments == McNemar(0, 1, 1.0)


@given(one=st.lists(st.booleans(), min_size=1, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_two_sided_binomial_test_on_those_that_differ(one: list[bool], seed: int) -> None:
    other = random.Random(seed).sample(one, len(one))
    test = mcnemar(np.array(one), np.array(other))
    differing = test.only_candidate + test.only_baseline
    assert differing == sum(a != b for a, b in zip(one, other, strict=True))
    if differing:
        tail = binom.cdf(min(test.only_candidate, test.only_baseline), differing, 0.5)
        assert test.p == pytest.approx(min(1.0, 2 * tail))


def test_gold_without_segments_cannot_be_compared_on() -> None:
    gold = [LabelledComment("1", "x", ())]
    with pytest.raises(DataInvalid, match="nothing to compare"):
        compare(gold, gold, gold)


def test_the_command_names_what_is_wrong_with_either_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = comments(4)
    for name, some in (("gold", gold), ("candidate", gold), ("baseline", gold[1:])):
        write_comments(some, tmp_path / f"{name}.jsonl")
    files = [f"--{name}={tmp_path / name}.jsonl" for name in ("gold", "candidate", "baseline")]
    (tmp_path / "t.csv").write_text("L1\na\nb\n")
    assert main(["eval", "compare", *files, f"--taxonomy={tmp_path / 't.csv'}", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["leaf_f1"]["candidate"] == 1.0
    assert printed["leaf_f1"]["baseline"] == 2 * 6 / 14
    assert printed["input"] == ["baseline: 1 gold comments without a prediction: scored as empty predictions (0)"]
