"""What the policy says to which figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve.trials.figures import ArmFigures, TrialFigures
from serve.trials.golden import GoldenFigures
from serve.trials.policy import DEFAULT_RULES, TrialPolicy, judged, read_rules, worst
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.errors import CallWrong, DataInvalid

GOLD = '{"id": "1", "comment": "It came late.", "segments": []}\n'


def arm(requests: int = 1000, errors: int = 0, violations: int = 0) -> ArmFigures:
    return ArmFigures(
        requests=requests, errors=errors, violations=violations, p50_s=0.1, p95_s=0.2, confidence={}, teams={}
    )


def stage(**changed: Any) -> TrialFigures:
    usual = {"mode": "canary", "share": 0.1, "began": "2026-01-01T00:00:00+00:00", "active": arm(), "candidate": arm()}
    usual |= {"dropped": 0, "disagreement": {}, "team_shift": 0.01, "latency_ratio": 1.0}
    return TrialFigures.model_validate(usual | changed)


def verdict_on(
    figures: TrialFigures, policy: TrialPolicy, *earlier: TrialFigures, golden: GoldenFigures | None = None
) -> Verdict:
    return worst(judged([*earlier, figures], golden, policy))


def test_what_fails_nothing_on_enough_requests_is_promoted() -> None:
    assert verdict_on(stage(), TrialPolicy()) is Verdict.PROMOTE


def test_before_there_are_enough_requests_nothing_is_decided() -> None:
    slow = stage(candidate=arm(requests=499), latency_ratio=9.0)
    assert verdict_on(slow, TrialPolicy()) is Verdict.HOLD
    assert verdict_on(stage(latency_ratio=9.0), TrialPolicy()) is Verdict.REJECT


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        (arm(requests=10, violations=1, errors=1), Verdict.REJECT),
        (arm(requests=10, errors=6), Verdict.REJECT),
        (arm(requests=10, errors=5), Verdict.HOLD),
        (arm(requests=1000, errors=10), Verdict.PROMOTE),
        (arm(requests=1000, errors=11), Verdict.REJECT),
    ],
)
def test_faults_that_cannot_be_made_good_reject_at_once(candidate: ArmFigures, verdict: Verdict) -> None:
    """Of 500 requests 1% is 5: the sixth error is one too many, whatever comes after it."""
    assert verdict_on(stage(candidate=candidate), TrialPolicy()) is verdict


def test_a_fault_of_both_pairs_is_not_held_against_the_candidate() -> None:
    assert verdict_on(stage(active=arm(errors=100), candidate=arm(errors=105)), TrialPolicy()) is Verdict.PROMOTE
    assert verdict_on(stage(active=arm(errors=100), candidate=arm(errors=115)), TrialPolicy()) is Verdict.REJECT


def test_disagreement_is_judged_on_the_last_shadow() -> None:
    policy = TrialPolicy(disagreement={"L1": 0.1})
    near, far = (stage(mode="shadow", disagreement={"L1": share}) for share in (0.1, 0.11))
    assert verdict_on(stage(), policy) is Verdict.HOLD
    assert verdict_on(stage(), policy, far, near) is Verdict.PROMOTE
    assert verdict_on(stage(), policy, near, far) is Verdict.REJECT


def test_a_shift_of_the_teams_is_judged_where_it_is_asked_for() -> None:
    assert verdict_on(stage(team_shift=0.4), TrialPolicy()) is Verdict.PROMOTE
    assert verdict_on(stage(team_shift=0.4), TrialPolicy(team_shift=0.3)) is Verdict.REJECT
    assert verdict_on(stage(team_shift=None), TrialPolicy(team_shift=0.3)) is Verdict.HOLD


def test_the_golden_comments_may_not_be_labelled_worse() -> None:
    better, worse = (GoldenFigures(comments=9, active=0.8, candidate=share) for share in (0.8, 0.79))
    assert verdict_on(stage(), TrialPolicy(), golden=better) is Verdict.PROMOTE
    assert verdict_on(stage(), TrialPolicy(), golden=worse) is Verdict.REJECT
    assert verdict_on(stage(), TrialPolicy(golden_loss=0.02), golden=worse) is Verdict.PROMOTE


def test_without_a_file_candidates_are_taken_back_and_never_promoted_unasked() -> None:
    assert read_rules(None) is DEFAULT_RULES
    assert (DEFAULT_RULES.policy.rolls_back, DEFAULT_RULES.policy.promotes) == (True, False)


def test_the_golden_file_lies_beside_the_policys(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text(GOLD)
    (tmp_path / "policy.yaml").write_text("golden: gold.jsonl\npromotes: true\ndisagreement: {L1: 0.05}\n")
    rules = read_rules(tmp_path / "policy.yaml")
    assert [comment.comment for comment in rules.gold] == ["It came late."]
    assert rules.policy.promotes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eror: 1", "eror"),
        ("errors: 2", "errors"),
        ("disagreement: {L9: 0.1}", "disagreement.L9"),
        ("golden: none.jsonl", "none.jsonl"),
        ("golden: empty.jsonl", "holds no comment"),
        ("- a", "holds no keys with values"),
        ("{", "policy.yaml"),
    ],
)
def test_a_wrong_policy_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(CallWrong, match=said):
        read_rules(tmp_path / "policy.yaml")


def test_a_wrong_row_of_the_golden_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"id": "1"}\n')
    (tmp_path / "policy.yaml").write_text("golden: gold.jsonl")
    with pytest.raises(DataInvalid, match=r"gold\.jsonl:1: the field 'comment' is missing"):
        read_rules(tmp_path / "policy.yaml")
