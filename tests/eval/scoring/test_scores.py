"""Scores against hand-made cases whose figures can be checked by eye."""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from eval.scoring.align import align, aligned, iou
from eval.scoring.columns import Paths, columns
from eval.scoring.matched import matched
from eval.scoring.predictions import Prediction, Segment
from eval.scoring.scores import leaf_labels, score
from eval.scoring.tally import Tally
from taxonomy.comments import LabelledComment, Span, labelled
from taxonomy.labels import EMOTIONS, Emotion
from taxonomy.language.answer import Part

A, B, C = ("L", "a"), ("L", "b"), ("M", "c")


def comment(*parts: Part, id: str = "1") -> LabelledComment:  # noqa: A002
    return labelled(id, parts)


GOLD = comment(Part("0123456789", A, "negative"), Part("abcdefghij", B, "positive"), Part("rest"))


def test_a_perfect_prediction_scores_one() -> None:
    scores = score([GOLD], [GOLD])
    assert [tally.f1 for tally in scores.levels.values()] == [1.0, 1.0]
    assert scores.span.f1 == scores.span_strict.f1 == scores.label_set.f1 == scores.hierarchical.f1 == 1.0
    assert scores.emotion.recall == scores.emotion_macro_f1 == scores.coverage == scores.verbatim == 1.0
    assert scores.lca_depth == 2


def test_a_missed_segment_costs_recall_and_no_precision() -> None:
    predicted = comment(Part("0123456789", A, "negative"), Part("abcdefghijrest"))
    assert score([GOLD], [predicted]).leaf == Tally(right=1, predicted=1, gold=2)


def test_the_right_label_on_the_wrong_place_is_wrong() -> None:
    predicted = comment(Part("0123456789", B, "negative"), Part("abcdefghij", A, "positive"), Part("rest"))
    scores = score([GOLD], [predicted])
    assert scores.leaf.right == 0
    assert scores.levels["L1"].right == 2
    assert scores.span.f1 == 1.0
    assert scores.label_set.f1 == 1.0, "which looks at no place"


def test_half_an_overlap_is_needed() -> None:
    assert iou(Span(0, 10, A, "neutral"), Span(5, 10, A, "neutral")) == 0.5
    assert align([Span(0, 10, A, "neutral")], [Span(5, 10, A, "neutral")])
    assert not align([Span(0, 10, A, "neutral")], [Span(6, 10, A, "neutral")])


def test_a_split_segment_is_one_right_and_one_too_many() -> None:
    predicted = comment(Part("0123456", A), Part("789", A), Part("abcdefghij", B), Part("rest"))
    scores = score([GOLD], [predicted])
    assert scores.leaf == Tally(right=2, predicted=3, gold=2)
    assert scores.span_strict == Tally(right=1, predicted=3, gold=2)
    assert scores.coverage == 1.0


def test_of_two_exact_halves_one_is_aligned() -> None:
    predicted = comment(Part("01234", A), Part("56789", A), Part("abcdefghij", B), Part("rest"))
    assert score([GOLD], [predicted]).span == Tally(right=2, predicted=3, gold=2)


def test_nothing_predicted_and_nothing_to_find_is_not_scored_and_never_zero() -> None:
    empty = comment(Part("hello"))
    scores = score([empty], [empty], seen={}, groups={"1": "en"})
    assert scores.leaf.f1 is None
    assert scores.groups
    assert scores.tail
    assert {tally.f1 for tally in [*scores.groups.values(), *scores.tail.values()]} == {None}
    for value in (scores.macro.f1, scores.coverage, scores.verbatim, scores.emotion_macro_f1, scores.lca_depth):
        assert value is None
    assert scores.leaf_interval is None
    assert Tally(0, 0, 3).precision is None
    assert score([GOLD], [Prediction("1", ())]).macro.precision is None


def test_what_was_not_asked_for_is_not_scored() -> None:
    scores = score([GOLD], [GOLD])
    assert scores.tail is scores.groups is scores.teams is None


def test_an_emotion_that_is_none_is_wrong_and_no_class_of_its_own() -> None:
    segments = (Segment(0, 10, A, "furious"), Segment(10, 20, B, "positive"))
    scores = score([GOLD], [Prediction("1", segments)])
    assert scores.emotion.recall == 0.5
    assert scores.emotion_macro_f1 == 0.5


def emotions_of(emotion: Emotion, count: int) -> list[Emotion]:
    return [emotion] * count


def test_an_emotions_accuracy_stands_beside_that_of_always_saying_the_commonest() -> None:
    emotions: list[Emotion] = [*emotions_of("negative", 7), *emotions_of("positive", 2), "neutral"]
    gold = [labelled(str(n), [Part("It came late.", A, emotion)]) for n, emotion in enumerate(emotions)]
    given: list[Emotion] = [*emotions_of("negative", 8), *emotions_of("positive", 2)]
    scores = score(gold, [labelled(str(n), [Part("It came late.", A, said)]) for n, said in enumerate(given)])
    assert scores.emotion.recall == 0.8
    assert scores.always
    assert (scores.always.emotion, scores.always.accuracy) == ("negative", 0.7)
    recalls = {name: tally.recall for name, tally in scores.emotions.items()}
    assert recalls == {"positive": 0.5, "neutral": 0.0, "negative": 1.0}
    assert score([GOLD], [Prediction("1", ())]).always is None


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


LENGTH = 12
paths = st.sampled_from([A, B, C])
emotions = st.sampled_from(EMOTIONS)


@st.composite
def gold_comments(draw: st.DrawFn) -> LabelledComment:
    """Disjoint segments with gaps between them."""
    bounds = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=6)))
    spans = [Span(a, b, draw(paths), draw(emotions)) for a, b in pairwise(bounds) if draw(st.booleans())]
    return LabelledComment("", "x" * LENGTH, tuple(spans))


@st.composite
def any_segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    """Overlapping, repeated and placeless ones too."""
    bounds = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(sorted)
    spans = [draw(bounds) for _ in range(draw(st.integers(0, 5)))]
    return tuple(Segment(a if a < b else 0, b if a < b else 0, draw(paths), draw(emotions)) for a, b in spans)


corpora = st.lists(st.tuples(gold_comments(), any_segments()), min_size=1, max_size=6)


def named(corpus: list[tuple[LabelledComment, tuple[Segment, ...]]]) -> tuple[list[LabelledComment], list[Prediction]]:
    gold = [LabelledComment(str(n), c.comment, c.segments) for n, (c, _) in enumerate(corpus)]
    return gold, [Prediction(str(n), segments) for n, (_, segments) in enumerate(corpus)]


@given(corpus=corpora)
@settings(max_examples=300, deadline=None)
def test_many_comments_at_once_are_aligned_as_each_alone(
    corpus: list[tuple[LabelledComment, tuple[Segment, ...]]],
) -> None:
    gold, predicted = named(corpus)
    lengths, codes = [LENGTH] * len(gold), Paths()
    sides = [columns([c.segments for c in side], lengths, codes) for side in (gold, predicted)]
    pairs = aligned(*sides)
    found = {(int(g), int(p)) for g, p in zip(*pairs, strict=True)}
    expected, before = set(), (0, 0)
    for g, p in zip(gold, predicted, strict=True):
        expected |= {(before[0] + i, before[1] + j) for i, j in align(g.segments, p.segments)}
        before = before[0] + len(g.segments), before[1] + len(p.segments)
    assert found == expected


@given(corpus=corpora)
@settings(max_examples=100, deadline=None)
def test_micro_scores_are_those_of_scikit_learn_and_the_hierarchical_ones_their_mean(
    corpus: list[tuple[LabelledComment, tuple[Segment, ...]]],
) -> None:
    gold, predicted = named(corpus)
    scores = score(gold, predicted)
    true, given_ = leaf_labels(matched(gold, predicted))
    labels = sorted({*true.tolist(), *given_.tolist()} - {-1})
    if not labels or scores.leaf.precision is None or scores.leaf.recall is None:
        return
    micro = precision_recall_fscore_support(true, given_, labels=labels, average="micro", zero_division=0)
    assert micro[:3] == pytest.approx(astuple(scores.leaf.rates))
    level_one = scores.levels["L1"]
    assert scores.hierarchical.recall == pytest.approx((level_one.right + scores.leaf.right) / 2 / scores.leaf.gold)
    assert level_one.right >= scores.leaf.right


@given(corpus=corpora)
@settings(max_examples=100, deadline=None)
def test_coverage_counts_each_character_once(corpus: list[tuple[LabelledComment, tuple[Segment, ...]]]) -> None:
    gold, predicted = named(corpus)
    wanted = [{at for s in c.segments for at in range(s.start, s.end)} for c in gold]
    held = [{at for s in p.segments for at in range(s.start, s.end)} for p in predicted]
    total = sum(map(len, wanted))
    share = sum(len(w & h) for w, h in zip(wanted, held, strict=True)) / total if total else None
    assert score(gold, predicted).coverage == (share if share is None else pytest.approx(share))


def test_the_order_of_comments_changes_nothing() -> None:
    second = comment(Part("xyz", C, "neutral"), Part("rest"), id="2")
    predicted = comment(Part("xyz", A, "neutral"), Part("rest"), id="2")
    one, other = score([GOLD, second], [GOLD, predicted]), score([second, GOLD], [predicted, GOLD])
    assert one.as_json() == other.as_json()


def test_the_interval_holds_the_score_and_narrows_with_more_comments() -> None:
    half = Prediction("1", (Segment(0, 10, A, "negative"), Segment(10, 20, C, "positive")))
    pairs = [(GOLD, GOLD if n % 3 else half) for n in range(30)]

    def width(times: int) -> float:
        many = pairs * times
        gold = [LabelledComment(str(n), g.comment, g.segments) for n, (g, _) in enumerate(many)]
        predicted = [Prediction(str(n), tuple(Segment(*s_(s)) for s in p.segments)) for n, (_, p) in enumerate(many)]
        scores = score(gold, predicted)
        assert scores.leaf_interval
        low, high = scores.leaf_interval
        assert scores.leaf.f1 is not None
        assert low < scores.leaf.f1 < high
        return high - low

    assert width(9) == pytest.approx(width(1) / 3, rel=0.2)


def s_(span: Span | Segment) -> tuple[int, int, tuple[str, ...], str]:
    return span.start, span.end, span.path, span.emotion
