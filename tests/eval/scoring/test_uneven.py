"""Scores where paths end at different levels: the example of `docs/scores.md`, and definitions word by word."""

from __future__ import annotations

import random
from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.bench.scores import figures, naive, worsened
from eval.report.report import confusions, where_wrong
from eval.scoring.matched import matched
from eval.scoring.predictions import path_of
from eval.scoring.scores import score
from eval.scoring.seed_compat import seed_compat
from eval.scoring.tally import Tally
from taxonomy.comments import LabelledComment, Span, labelled
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.language.answer import Part
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of
from tests.support.strategies import taxonomies

PRAISE, LOGIN = ("Praise",), ("App", "Login")
DAYS, TWO = ("Delivery", "Late", "Days"), ("Delivery", "Late", "Weeks", "Two")
TAXONOMY = taxonomy_of(Leaf(path, team="t") for path in (PRAISE, LOGIN, DAYS, TWO))


def comment(*paths: LabelPath) -> LabelledComment:
    return labelled("1", [Part(f"segment {n}. ", path) for n, path in enumerate(paths)])


GOLD = comment(PRAISE, LOGIN, DAYS, TWO, PRAISE)
PREDICTED = comment(PRAISE, DAYS, TWO, TWO, LOGIN)


def test_a_level_is_scored_over_the_segments_that_reach_it_and_the_leaf_over_all() -> None:
    scores = score([GOLD], [PREDICTED], TAXONOMY)
    assert scores.levels == {"L1": Tally(3, 5, 5), "L2": Tally(2, 4, 3), "L3": Tally(1, 3, 2), "L4": Tally(1, 2, 1)}
    assert scores.leaf == Tally(2, 5, 5)
    assert scores.hierarchical == Tally(7, 14, 11)
    assert scores.lca_depth == 7 / 5
    assert scores.label_set == Tally(4, 4, 4)


def test_a_level_that_nobody_reaches_is_not_scored() -> None:
    scores = score([comment(PRAISE)], [comment(LOGIN)], TAXONOMY)
    assert list(scores.levels) == list(LEVELS)
    assert [tally.rates.f1 for tally in scores.levels.values()] == [0.0, 0.0, None, None]


def test_the_study_s_scores_pass_over_a_level_that_a_segment_has_not() -> None:
    gold, predicted = ([dict(zip(LEVELS, s.path, strict=False)) for s in side.segments] for side in (GOLD, PREDICTED))
    nulls = [dict.fromkeys(LEVELS) | segment for segment in predicted]
    found = seed_compat({"1": gold}, {"1": predicted})
    assert found == seed_compat({"1": gold}, {"1": nulls})
    assert (found["L3"].f1, found["L4"].f1) == (1.0, 1.0)


def test_a_report_tells_at_which_level_a_segment_goes_wrong_first() -> None:
    both = matched([GOLD], [PREDICTED])
    assert {row.what: row.segments for row in where_wrong(both)} == {
        "right": 2,
        "wrong from L4 on": 0,
        "wrong from L3 on": 1,
        "wrong from L2 on": 0,
        "wrong from L1 on": 2,
        "missed": 0,
    }
    shown = {level: [(c.gold, c.predicted) for c in found] for level, found in confusions(both).items()}
    assert shown == {
        "L1": [("App", "Delivery"), ("Praise", "App")],
        "L2": [],
        "L3": [("Delivery > Late > Days", "Delivery > Late > Weeks")],
        "L4": [],
    }


def test_an_answer_that_stops_above_a_leaf_is_wrong_at_the_leaf_and_right_as_far_as_it_goes() -> None:
    both = matched([comment(TWO)], [comment(TWO[:2])])
    assert score([comment(TWO)], [comment(TWO[:2])]).leaf == Tally(0, 1, 1)
    assert [both.tally_at(level) for level in (2, 3)] == [Tally(1, 1, 1), Tally(0, 0, 1)]
    assert next(row for row in where_wrong(both) if row.segments).what == "wrong from L3 on"


def test_a_path_with_a_gap_is_not_the_leaf_above_the_gap() -> None:
    assert path_of({"L1": "Praise", "L2": None, "L3": ""}) == path_of({"L1": "Praise"}) == PRAISE
    for segment in ({"L1": "Praise", "L3": "x"}, {"L1": "Praise", "L2": 7}, {"L2": "Praise"}, {"L1": ["Praise"]}):
        path = path_of(segment)
        assert path not in TAXONOMY
        assert path
    assert path_of({}) == ()


@st.composite
def corpora(draw: st.DrawFn) -> tuple[Taxonomy, list[LabelledComment]]:
    taxonomy = draw(taxonomies())
    rng = random.Random(draw(st.integers(0, 10_000)))
    gold = []
    for number in range(draw(st.integers(1, 5))):
        edges = sorted(rng.sample(range(31), rng.randint(2, 8)))
        spans = [Span(a, b, rng.choice(taxonomy.leaves).path, "neutral") for a, b in pairwise(edges)]
        gold.append(LabelledComment(str(number), "x" * 30, tuple(spans)))
    return taxonomy, gold


@given(corpus=corpora(), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_arrays_count_what_loops_count_and_the_levels_add_up_to_the_ancestors(
    corpus: tuple[Taxonomy, list[LabelledComment]], seed: int
) -> None:
    taxonomy, gold = corpus
    predicted = list(worsened(gold, seed))
    scores = figures(gold, predicted)
    assert sum(scores.levels.values(), Tally(0, 0, 0)) == scores.hierarchical
    assert scores.leaf.gold == scores.levels["L1"].gold
    assert scores.leaf.right <= scores.levels["L1"].right
    if scores.span.right:  # the loops divide by it
        loops = naive(gold, predicted)
        assert {name: loops.levels[name] for name in scores.levels} == scores.levels
        assert (loops.leaf, loops.hierarchical, loops.lca_depth) == (scores.leaf, scores.hierarchical, scores.lca_depth)
        assert loops.label_set == scores.label_set
        assert astuple(loops.macro) == pytest.approx(astuple(scores.macro))
    perfect = score(gold, gold, taxonomy)
    assert {tally.f1 for tally in perfect.levels.values()} <= {1.0, None}
    assert perfect.leaf.f1 == perfect.hierarchical.f1 == 1.0
