"""What is measured of a candidate beside the active pair."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from serve.routing.answer import Answer, Residue, Routed
from serve.telemetry.trial_metrics import TrialMetrics
from serve.trials.agreement import COMPARED
from serve.trials.figures import StageCounts, TrialFigures
from taxonomy.language.answer import Part
from taxonomy.tree import Leaf


def answer(teams: str, sure: float = 0.5) -> Answer:
    """One segment a team, each a letter."""
    path = ("App", "Login", "Password", "Reset")
    segments = [
        Routed(Part(team, path), at, at + 1, Leaf(path, team=team), {"L1": sure}, needs_review=False)
        for at, team in enumerate(teams)
    ]
    return Answer(tuple(segments), (), 0, 0, engine_s=len(teams))


def test_residue_has_a_mean_of_its_own() -> None:
    counts = StageCounts("canary", 0.5, TrialMetrics(CollectorRegistry(), COMPARED))
    for sure in (0.9, 0.7):
        counts.answered("active", Answer((), (Residue("ok", 0, 2, sure, needs_review=False),), 0, 0))
    assert counts.figures().active.confidence == {"residue": pytest.approx(0.8)}


def figures(active: list[str], candidate: list[str]) -> TrialFigures:
    counts = StageCounts("canary", 0.5, TrialMetrics(CollectorRegistry(), COMPARED))
    for teams in active:
        counts.answered("active", answer(teams))
    for teams in candidate:
        counts.answered("candidate", answer(teams, sure=0.9))
    return counts.figures()


@pytest.mark.parametrize(
    ("active", "candidate", "shift"),
    [
        (["a"], ["a"], 0),
        (["a"], ["b"], 1),
        (["ab"], ["a", "a"], 0.5),
        (["ab", "ab"], ["abc", "c"], 0.5),
        (["aabb"], ["abbb"], 0.25),
    ],
)
def test_the_shift_of_the_teams_is_the_share_of_segments_that_would_go_elsewhere(
    active: list[str], candidate: list[str], shift: float
) -> None:
    assert figures(active, candidate).team_shift == pytest.approx(shift)
    assert figures(candidate, active).team_shift == pytest.approx(shift)


def test_where_one_has_routed_nothing_there_is_no_shift() -> None:
    assert figures(["a"], []).team_shift is None
    assert figures([""], ["a"]).team_shift is None


def test_the_two_are_told_apart() -> None:
    found = figures(["ab", "abc"], ["b"])
    assert found.active.teams == pytest.approx({"a": 0.4, "b": 0.4, "c": 0.2})
    assert (found.active.requests, found.candidate.requests) == (2, 1)
    assert (found.active.confidence["L1"], found.candidate.confidence["L1"]) == pytest.approx((0.5, 0.9))
    assert (found.active.p50_s, found.candidate.p50_s) == (2.5, 1)
    assert found.latency_ratio == pytest.approx(1 / (2 + 0.95))


def test_the_mean_confidence_of_a_level_is_of_the_segments_that_reach_it() -> None:
    counts = StageCounts("canary", 0.5, TrialMetrics(CollectorRegistry(), COMPARED))
    segments = [
        Routed(Part("x", path), at, at + 1, Leaf(path), confidence, needs_review=False)
        for at, (path, confidence) in enumerate(
            [(("Praise",), {"L1": 0.5}), (("App", "Login"), {"L1": 0.75, "L2": 0.25}), (("Other",), {"L1": 0.25})]
        )
    ]
    counts.answered("active", Answer(tuple(segments), (), 0, 0))
    assert counts.figures().active.confidence == pytest.approx({"L1": 0.5, "L2": 0.25})
