"""The choice among candidates: nothing dominated is chosen, and what the base knew is kept where any candidate does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.choosing.choice import ScoredCandidate, chosen, front
from train.report.choice import Estimate

SHARES = st.integers(0, 20).map(lambda n: n / 20)


def estimate(value: float) -> Estimate:
    return Estimate(value=value, interval_95=(max(0.0, value - 0.1), min(1.0, value + 0.1)))


def scored(name: str, leaf: float, general: float | None) -> ScoredCandidate:
    return ScoredCandidate(name, estimate(leaf), None if general is None else estimate(general))


CANDIDATES = st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=8).map(
    lambda pairs: [scored(str(i), *pair) for i, pair in enumerate(pairs)]
)
BASES = st.none() | SHARES.map(lambda general: scored("base", 0.0, general))


@settings(deadline=None)
@given(CANDIDATES)
def test_every_candidate_off_the_front_is_beaten_by_one_on_it(candidates: list[ScoredCandidate]) -> None:
    best = front(candidates)
    assert best
    for one in candidates:
        at_least = [o for o in best if o.leaf.value >= one.leaf.value and o.general.value >= one.general.value]  # type: ignore[union-attr]
        assert at_least
        strictly = [o for o in at_least if (o.leaf, o.general) != (one.leaf, one.general)]
        assert (one in best) == (not strictly)


@settings(deadline=None)
@given(CANDIDATES, BASES)
def test_the_chosen_one_lies_on_the_front(candidates: list[ScoredCandidate], base: ScoredCandidate | None) -> None:
    assert chosen(candidates, base).name in {one.name for one in front(candidates)}


@settings(deadline=None)
@given(CANDIDATES, SHARES)
def test_where_any_candidate_keeps_what_the_base_knew_the_chosen_one_does(
    candidates: list[ScoredCandidate], general: float
) -> None:
    base = scored("base", 0.0, general)
    assert base.general
    kept = {one.name: one for one in candidates if one.general and one.general.value >= base.general.low}
    choice = chosen(candidates, base)
    if kept:
        assert choice.name in kept
        assert kept[choice.name].leaf.value == max(one.leaf.value for one in kept.values())
    else:
        assert choice.reason.startswith("none keeps general accuracy")


def test_the_corner_wins_over_more_of_one_axis() -> None:
    base = scored("base", 0.05, 0.8)
    forgetful, kept, timid = scored("1", 0.6, 0.4), scored("0.75", 0.55, 0.75), scored("0.5", 0.3, 0.8)
    assert chosen([forgetful, kept, timid], base).name == "0.75"
    assert [one.name for one in front([forgetful, kept, timid])] == ["1", "0.75", "0.5"]


def test_without_general_questions_the_leaf_f1_decides_and_it_is_said() -> None:
    choice = chosen([scored("a", 0.3, None), scored("b", 0.5, None)])
    assert choice.name == "b"
    assert "no general question" in choice.reason


def test_there_is_nothing_to_choose_from_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        chosen([])
