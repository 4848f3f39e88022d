"""Predictions of any quality: each fault is named, and scored as the definitions say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.scoring.predictions import FAULTS, PredictionRow, described, match
from eval.scoring.scores import score
from taxonomy.comments import LabelledComment, Span
from taxonomy.tree import Leaf, taxonomy_of

TEXT = "It came late. It came late. Bad zoom."
LATE, ZOOM = ("Delivery", "Late"), ("Picture", "Zoom")
TAXONOMY = taxonomy_of([Leaf(LATE, team="logistics"), Leaf(ZOOM, team="development")])
GOLD = LabelledComment("1", TEXT, (Span(0, 14, LATE, "negative"), Span(28, 37, ZOOM, "negative")))


def segment(
    content: object, path: Sequence[object] = LATE, emotion: object = "negative", **more: Any
) -> dict[str, Any]:
    return {"content": content, **dict(zip(("L1", "L2"), path, strict=False)), "emotion": emotion, **more}


def row(
    *segments: dict[str, Any],
    id: str = "1",  # noqa: A002
    comment: str | None = TEXT,
    taxonomy: str | None = None,
) -> PredictionRow:
    return PredictionRow("p.jsonl:1", id, comment, taxonomy, list(segments))


def faults(*rows: PredictionRow) -> dict[str, int]:
    return {kind: len(names) for kind, names in match(rows, [GOLD], TAXONOMY).faults.items()}


def spans(*segments: dict[str, Any]) -> Iterable[tuple[int, int]]:
    return [(s.start, s.end) for s in match([row(*segments)], [GOLD], TAXONOMY).predictions[0].segments]


GOOD = row(segment("It came late. "), segment("Bad zoom.", ZOOM))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([GOOD], {}),
        ([], {"missing": 1}),
        ([GOOD, GOOD._replace(id="2")], {"extra": 1}),
        ([GOOD, GOOD, GOOD], {"repeated": 2}),
        ([GOOD._replace(taxonomy="tx_other")], {"other_taxonomy": 1}),
        ([GOOD._replace(taxonomy=TAXONOMY.version)], {}),
        ([GOOD._replace(comment="Another text")], {"other_comment": 1}),
        ([GOOD._replace(comment=None)], {}),
        ([row(segment("It was late"), segment(""), segment(None), segment(7))], {"not_in_comment": 4}),
        ([row(segment("It came late. Bad zoom!"))], {"not_in_comment": 1}),
        ([row(segment("It came late. It came"), segment("came late. It"))], {"overlapping": 1}),
        ([row(segment("Bad zoom.", ("Picture",)), segment("It", ("Picture", "Late")))], {"not_in_taxonomy": 2}),
        ([row(segment("It", ("Picture", ["Zoom"])))], {"not_in_taxonomy": 1}),
        ([row({"content": "It", "label": "Late"})], {"not_in_taxonomy": 1, "no_emotion": 1}),
        ([row(segment("It", emotion="furious"), segment("came", emotion=None))], {"no_emotion": 2}),
        ([row({"content": "It came late. "})], {}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_each_fault_is_counted_as_what_it_is(rows: list[PredictionRow], expected: dict[str, int]) -> None:
    assert faults(*rows) == expected


def test_gold_of_another_taxonomy_is_named_too() -> None:
    gold = LabelledComment("1", TEXT, (Span(0, 14, ("Delivery", "Lost"), "negative"),))
    found = match([], [gold], TAXONOMY)
    assert found.faults["gold_not_in_taxonomy"] == ["1 segments[0]"]
    scores = score([gold], found.predictions, TAXONOMY)
    assert scores.leaf.gold == 1
    assert scores.teams
    assert sum(tally.gold for tally in scores.teams.values()) == 0


def test_segments_stand_one_after_the_other_and_in_any_order_where_there_is_room() -> None:
    assert spans(segment("It came late. "), segment("It came late. ")) == [(0, 14), (14, 28)]
    assert spans(segment("Bad zoom."), segment("It came late. ")) == [(28, 37), (0, 14)]
    assert spans(segment("Bad zoom."), segment("late. "), segment("It came late. ")) == [(28, 37), (8, 14), (14, 28)]
    assert spans(segment("It came late. ", start=14, end=28), segment("It came late. ")) == [(14, 28), (0, 14)]
    assert spans(segment("It came late. ", start=15, end=29)) == [(0, 14)], "a start that is wrong tells nothing"


def test_the_first_of_repeated_predictions_is_scored() -> None:
    found = match([GOOD, row()], [GOLD], TAXONOMY)
    assert score([GOLD], found.predictions).leaf.f1 == 1.0


def test_a_segment_that_stands_nowhere_is_a_wrong_prediction() -> None:
    found = match([row(segment("It came too late."), segment("Bad zoom.", ZOOM))], [GOLD], TAXONOMY)
    scores = score([GOLD], found.predictions)
    assert (scores.leaf.right, scores.leaf.predicted, scores.leaf.gold) == (1, 2, 2)
    assert scores.verbatim == 0.5


def test_of_segments_on_the_same_characters_one_is_aligned() -> None:
    found = match([row(segment("Bad zoom.", ZOOM), segment("Bad zoom.", ZOOM))], [GOLD], TAXONOMY)
    scores = score([GOLD], found.predictions)
    assert (scores.leaf.right, scores.leaf.predicted) == (1, 2)
    assert scores.coverage == 9 / 23


def test_the_lines_say_how_many_how_scored_and_which() -> None:
    (line,) = described({"missing": [str(n) for n in range(9)]})
    assert line == f"9 {FAULTS['missing']} (0, 1, 2, ...)"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["It", "late. ", "Late", "negative"]),
    lambda children: st.lists(children, max_size=2),
    max_leaves=3,
)
keys = st.sampled_from(["content", "L1", "L2", "L3", "L4", "emotion", "start", "end", "x"])


@given(segments=st.lists(st.dictionaries(keys, anything, max_size=6), max_size=5))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_segment_it_is_scored(segments: list[dict[str, Any]]) -> None:
    found = match([row(*segments)], [GOLD], TAXONOMY)
    scores = score([GOLD], found.predictions, TAXONOMY)
    labelled = [s for s in segments if not s.keys() <= {"content", "start", "end"}]
    assert scores.leaf.predicted == len(labelled)
    assert len(found.faults.get("not_in_comment", [])) == sum(s.start == s.end for s in found.predictions[0].segments)
