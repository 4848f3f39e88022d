"""Gold segments with more than one right path: each level is right where any of them agrees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scoring.alternatives import AlternativeCounts, as_taken
from eval.scoring.matched import matched
from eval.scoring.scores import score
from eval.scoring.tally import Tally
from taxonomy.comments import LabelledComment, labelled
from taxonomy.labels import LabelPath
from taxonomy.language.answer import Part

PATHS = [(*path,) for path in ("A", "B", "AX", "AY", "BX", "AXP", "AXQ", "AYP", "AXPM", "AXPN", "BXPM")]
any_path = st.sampled_from(PATHS)


def comment(*paths: LabelPath, alternatives: dict[int, tuple[LabelPath, ...]] | None = None) -> LabelledComment:
    one = labelled("1", [Part(f"segment {n}. ", path) for n, path in enumerate(paths)])
    others = alternatives or {}
    return replace(one, segments=tuple(replace(s, alternatives=others.get(n, ())) for n, s in enumerate(one.segments)))


def test_a_segment_is_right_by_any_of_its_paths_and_by_its_own_where_both_agree() -> None:
    gold = comment(("A", "X"), ("A", "Y"), ("B",), alternatives={0: (("B", "X"),), 1: (("A", "X"),)})
    predicted = comment(("B", "X"), ("A", "Z"), ("B",))
    taken = as_taken([gold], [predicted])
    assert [span.path for span in taken.comments[0].segments] == [("B", "X"), ("A", "Y"), ("B",)]
    assert taken.counts == AlternativeCounts(segments=2, taken=1)
    assert score(taken.comments, [predicted]).leaf == Tally(2, 3, 3)
    assert score([gold], [predicted]).leaf == Tally(1, 3, 3), "without them nothing changes"


def test_a_path_that_ends_where_the_prediction_ends_goes_before_a_longer_one() -> None:
    gold = comment(("A", "X", "P"), alternatives={0: (("A", "X"),)})
    assert as_taken([gold], [comment(("A", "X"))]).comments[0].segments[0].path == ("A", "X")


def test_a_segment_that_nothing_answers_keeps_its_own_path() -> None:
    gold = comment(("A",), ("B",), alternatives={0: (("B",),), 1: (("A",),)})
    predicted = replace(comment(("B",), ("B",)), segments=comment(("B",), ("B",)).segments[:1])
    taken = as_taken([gold], [predicted])
    assert [span.path for span in taken.comments[0].segments] == [("B",), ("B",)]
    assert taken.counts == AlternativeCounts(segments=2, taken=1)


def test_comments_that_are_not_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same comments"):
        as_taken([comment(("A",))], [])


@given(st.lists(st.tuples(any_path, any_path, st.lists(any_path, max_size=3)), min_size=1, max_size=6))
def test_each_level_is_right_where_any_of_the_paths_agrees_down_to_it(
    segments: list[tuple[LabelPath, LabelPath, list[LabelPath]]],
) -> None:
    others = {n: (*alternatives,) for n, (_, _, alternatives) in enumerate(segments)}
    gold = comment(*(own for own, _, _ in segments), alternatives=others)
    predicted = comment(*(said for _, said, _ in segments))
    both = matched(as_taken([gold], [predicted]).comments, [predicted])
    assert both.pairs.gold.size == len(segments)
    for pair, row in enumerate(both.pairs.gold.tolist()):
        own, said, alternatives = segments[row]
        right = [own, *alternatives]
        assert both.right_leaf[pair] == (said in right)
        for level in range(1, both.paths.depth + 1):
            any_agrees = len(said) >= level and any(path[:level] == said[:level] for path in right)
            assert both.right_at(level)[pair] == any_agrees
