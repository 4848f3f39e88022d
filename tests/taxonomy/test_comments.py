"""Other right paths in labelled comments: read, written back, and refused where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taxonomy.comments import as_json, from_json, read_comments, write_comments
from taxonomy.diff import diff, migrated
from taxonomy.tree import Leaf, taxonomy_of

SEGMENT = {"content": "It came late.", "L1": "Delivery", "L2": "Late", "emotion": "negative"}
OTHERS = [["Delivery", "Lost"], ["App"]]


def row(**more: Any) -> dict[str, Any]:
    return {"id": "7", "comment": "It came late.", "segments": [SEGMENT | more]}


def test_other_right_paths_are_read_and_written_back(tmp_path: Path) -> None:
    comment = from_json(row(alt=OTHERS))
    assert comment.segments[0].alternatives == (("Delivery", "Lost"), ("App",))
    assert as_json(comment) == row(alt=OTHERS)
    write_comments([comment], tmp_path / "comments.jsonl")
    assert list(read_comments(tmp_path / "comments.jsonl")) == [comment]


def test_levels_below_a_leaf_may_be_empty_or_null_there_too() -> None:
    assert from_json(row(alt=[["App", None, None, ""]])).segments[0].alternatives == (("App",),)


def test_a_segment_without_them_is_written_as_before() -> None:
    assert as_json(from_json(row(alt=[]))) == row()
    assert as_json(from_json(row(alt=None))) == row()


def test_what_is_learned_and_asked_is_the_same_with_them_and_without() -> None:
    assert from_json(row(alt=OTHERS)).parts == from_json(row()).parts


@pytest.mark.parametrize(
    ("alt", "said"),
    [
        ("Delivery", r"segments\[0\].alt is not a list of paths"),
        ([["App"], "Delivery"], r"segments\[0\].alt\[1\] is not a list of up to 4 labels"),
        ([["A", "B", "C", "D", "E"]], r"segments\[0\].alt\[0\] is not a list of up to 4 labels"),
        ([[]], r"segments\[0\].alt\[0\].L1 is missing"),
        ([["App", 3]], r"segments\[0\].alt\[0\].L2 is not text"),
        ([["App", None, "Slow"]], r"segments\[0\].alt\[0\] has L3, and not every level above it"),
    ],
)
def test_a_wrong_one_is_named(alt: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_json(row(alt=alt))


def test_they_are_carried_over_to_the_next_taxonomy_and_one_without_a_place_is_named() -> None:
    old = taxonomy_of([Leaf(("Delivery", "Late")), Leaf(("Delivery", "Lost"), "gone"), Leaf(("App",))])
    new = taxonomy_of([Leaf(("Delivery", "Late")), Leaf(("Parcel", "Gone"), "gone"), Leaf(("Web",))])
    moved, lost = migrated(from_json(row(alt=OTHERS)), diff(old, new), new)
    assert moved.segments[0].alternatives == (("Parcel", "Gone"), ("App",))
    assert lost == [("App",)]
