"""Scores against hand-made cases whose figures can be checked by eye."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.align import align, iou
from eval.scores import Tally, score
from taxonomy.answer import Part
from taxonomy.comments import LabelledComment, Span, labelled

A, B, C = ("L", "a"), ("L", "b"), ("M", "c")


def comment(*parts: Part, id: str = "1") -> LabelledComment:  # noqa: A002
    return labelled(id, parts)


GOLD = comment(Part("0123456789", A, "negative"), Part("abcdefghij", B, "positive"), Part("rest"))


def test_a_perfect_prediction_scores_one() -> None:
    scores = score([GOLD], [GOLD])
    assert [tally.f1 for tally in scores.levels.values()] == [1.0, 1.0]
    assert scores.span.f1 == 1.0
    assert scores.emotion.recall == 1.0


def test_a_missed_segment_costs_recall_and_no_precision() -> None:
    predicted = comment(Part("0123456789", A, "negative"), Part("abcdefghijrest"))
    assert score([GOLD], [predicted]).leaf == Tally(right=1, predicted=1, gold=2)


def test_the_right_label_on_the_wrong_place_is_wrong() -> None:
    predicted = comment(Part("0123456789", B, "negative"), Part("abcdefghij", A, "positive"), Part("rest"))
    scores = score([GOLD], [predicted])
    assert scores.leaf.right == 0
    assert scores.levels["L1"].right == 2
    assert scores.span.f1 == 1.0


def test_half_an_overlap_is_needed() -> None:
    assert iou(Span(0, 10, A, "neutral"), Span(5, 10, A, "neutral")) == 0.5
    assert align([Span(0, 10, A, "neutral")], [Span(5, 10, A, "neutral")])
    assert not align([Span(0, 10, A, "neutral")], [Span(6, 10, A, "neutral")])


def test_a_split_segment_is_one_right_and_one_too_many() -> None:
    predicted = comment(Part("0123456", A), Part("789", A), Part("abcdefghij", B), Part("rest"))
    assert score([GOLD], [predicted]).leaf == Tally(right=2, predicted=3, gold=2)


def test_nothing_predicted_and_nothing_to_find_is_not_scored_and_never_zero() -> None:
    empty = comment(Part("hello"))
    assert score([empty], [empty]).leaf.f1 is None
    assert Tally(0, 0, 3).precision is None


def test_other_comments_than_the_gold_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same comments"):
        score([GOLD], [labelled("2", GOLD.parts)])


@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_alignment_is_one_to_one_and_symmetric(cuts: list[int]) -> None:
    ends = sorted({*cuts, 31})
    spans = [Span(a, b, A, "neutral") for a, b in zip([0, *ends], ends, strict=False)]
    other = [Span(a, b, A, "neutral") for a, b in zip([0, *ends[::2]], ends[::2], strict=False)]
    there, back = align(spans, other), align(other, spans)
    assert len(there) == len(back) <= min(len(spans), len(other))
    assert len({pair.gold for pair in there}) == len({pair.predicted for pair in there}) == len(there)
