"""A leaf teaches itself: its scope and synonyms are comments of a run."""

from __future__ import annotations

from taxonomy.comments import LabelledComment, labelled
from taxonomy.language.answer import Part
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of
from train.data.customers import WithScopes

LATE, WET, LOUD = ("Delivery", "Late"), ("Delivery", "Wet"), ("Sound", "Loud")
TAXONOMY = taxonomy_of([Leaf(LATE, "after the day"), Leaf(WET, "", ("soaked", "rained on")), Leaf(LOUD)])


class Own(list[LabelledComment]):
    """Comments that know their taxonomy."""

    taxonomy: Taxonomy = TAXONOMY


COMMENTS = Own([labelled("a", [Part("Too loud!", LOUD, "negative")])])


def test_each_scope_and_synonym_stands_before_the_comments() -> None:
    comments = list(WithScopes(COMMENTS))
    said = [(c.comment, c.segments[0].path, c.segments[0].emotion) for c in comments]
    assert said == [
        ("After the day", LATE, "neutral"),
        ("Soaked", WET, "neutral"),
        ("Rained on", WET, "neutral"),
        ("Too loud!", LOUD, "negative"),
    ]
    assert len({c.id for c in comments}) == len(comments) == len(WithScopes(COMMENTS))


def test_they_are_the_same_in_each_pass() -> None:
    comments = WithScopes(COMMENTS)
    assert list(comments) == list(comments)
