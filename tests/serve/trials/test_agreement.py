"""How much of a comment is labelled alike."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serve.trials.agreement import COMPARED, differing
from taxonomy.comments import Span

LENGTH = 30
A, B = ("Hardware", "Picture", "Night", "Blurry"), ("Hardware", "Picture", "Day", "Dark")
SHALLOW = ("Hardware", "Price")


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    edges = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=8)))
    paths, emotions = st.sampled_from([A, B, SHALLOW]), st.sampled_from(["positive", "negative"])
    made = [Span(a, b, draw(paths), draw(emotions)) for a, b in pairwise(edges)]  # type: ignore[arg-type]
    return tuple(span for span in made if draw(st.booleans()))


@given(spans(), spans())
def test_it_is_symmetric_and_between_nothing_and_the_whole_comment(
    one: tuple[Span, ...], other: tuple[Span, ...]
) -> None:
    counts = differing(one, other, LENGTH)
    assert counts == differing(other, one, LENGTH)
    assert counts.keys() == set(COMPARED)
    assert all(0 <= count <= LENGTH for count in counts.values())


@given(spans())
def test_an_answer_agrees_with_itself(one: tuple[Span, ...]) -> None:
    assert set(differing(one, one, LENGTH).values()) == {0}


@given(spans(), spans())
def test_what_differs_at_a_level_differs_below_it(one: tuple[Span, ...], other: tuple[Span, ...]) -> None:
    counts = differing(one, other, LENGTH)
    assert counts["L1"] <= counts["L2"] <= counts["L3"] <= counts["L4"]


def test_the_code_points_that_differ_are_counted_at_each_level() -> None:
    one = (Span(0, 10, A, "negative"),)
    other = (Span(0, 4, A, "positive"), Span(4, 10, B, "negative"))
    assert differing(one, other, LENGTH) == {"L1": 0, "L2": 0, "L3": 6, "L4": 6, "emotion": 4}


def test_a_path_that_ends_early_is_the_same_at_every_level_as_itself_and_as_no_other() -> None:
    short, deep = (Span(0, 10, SHALLOW, "neutral"),), (Span(0, 10, A, "neutral"),)
    assert set(differing(short, short, LENGTH).values()) == {0}
    assert differing(short, deep, LENGTH) == {"L1": 0, "L2": 10, "L3": 10, "L4": 10, "emotion": 0}


def test_what_only_one_calls_feedback_differs_at_every_level() -> None:
    assert set(differing((Span(3, 8, A, "neutral"),), (), LENGTH).values()) == {5}


def test_where_a_segment_is_cut_does_not_matter() -> None:
    one = (Span(0, 10, A, "neutral"),)
    two = (Span(0, 5, A, "neutral"), Span(5, 10, A, "neutral"))
    assert set(differing(one, two, LENGTH).values()) == {0}
