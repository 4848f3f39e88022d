"""When a candidate on trial is promoted or taken back without being asked: a policy held against the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from serve.trials.figures import TrialFigures
from serve.trials.golden import GoldenFigures
from taxonomy.checkpoint.calibration import Probability
from taxonomy.checkpoint.gate_record import Finding, Verdict
from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import CallWrong
from taxonomy.yaml_files import read_model

Level = Literal["L1", "L2", "L3", "L4", "emotion"]


class TrialPolicy(BaseModel):
    """What is demanded of a candidate; unknown keys are refused.

    requests: least number that it must have had in a stage (in a shadow: copies). errors: greatest share of them that
    may fail, beyond the active pair's. violations: most that are allowed. latency_ratio: greatest p95 of its engine's
    time, over the active one's. disagreement: greatest share of text labelled differently, by level; it takes a shadow.
    team_shift: greatest total variation distance of the teams' shares; None asks for none. golden: a file of labelled
    comments, beside the policy's own. golden_loss: how much less of them it may label right than the active pair.
    rolls_back: take a candidate back that fails. promotes: make one active of which all is shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[int, Field(gt=0)] = 500
    errors: Probability = 0.01
    violations: Annotated[int, Field(ge=0)] = 0
    latency_ratio: Annotated[float, Field(gt=0)] = 2.0
    disagreement: dict[Level, Probability] = {}
    team_shift: Probability | None = None
    golden: Path | None = None
    golden_loss: Probability = 0.0
    rolls_back: bool = True
    promotes: bool = False


class TrialRules(NamedTuple):
    """A policy, with the labelled comments that it names."""

    policy: TrialPolicy = TrialPolicy()
    gold: tuple[LabelledComment, ...] = ()


DEFAULT_RULES: Final = TrialRules()


def read_rules(file: Path | None) -> TrialRules:
    """The file's policy, or the default one. Raises CallWrong or DataInvalid, naming the file and what is wrong."""
    if file is None:
        return DEFAULT_RULES
    policy = read_model(file, TrialPolicy)
    if policy.golden is None:
        return TrialRules(policy)
    try:
        gold = tuple(read_comments(file.parent / policy.golden))
    except (OSError, ValueError) as error:
        raise CallWrong(f"{file}: golden: {' '.join(str(error).split())}") from error
    if not gold:
        raise CallWrong(f"{file}: golden: {policy.golden} holds no comment")
    return TrialRules(policy, gold)


def judged(stages: Sequence[TrialFigures], golden: GoldenFigures | None, policy: TrialPolicy) -> tuple[Finding, ...]:
    """Every check on the last stage; the disagreement on the last one that was a shadow."""
    last = stages[-1]
    shadow = next((stage for stage in reversed(stages) if stage.mode == "shadow"), None)
    return (
        _requests(last, policy),
        *_faults(last, policy),
        _at_most("latency_ratio", last.latency_ratio, policy.latency_ratio, last, policy),
        *_disagreement(shadow, policy),
        *(
            []
            if policy.team_shift is None
            else [_at_most("team_shift", last.team_shift, policy.team_shift, last, policy)]
        ),
        *([] if golden is None else [_golden(golden, policy)]),
    )


def worst(findings: Sequence[Finding]) -> Verdict:
    """One failure rejects; one thing not shown yet holds."""
    verdicts = {finding.verdict for finding in findings}
    return next(v for v in (Verdict.REJECT, Verdict.HOLD, Verdict.PROMOTE) if v in verdicts)


def _requests(stage: TrialFigures, policy: TrialPolicy) -> Finding:
    had = stage.candidate.requests
    verdict = Verdict.PROMOTE if had >= policy.requests else Verdict.HOLD
    return _finding("requests", verdict, had, policy.requests, f"{had} of {policy.requests} requests")


def _faults(stage: TrialFigures, policy: TrialPolicy) -> Iterator[Finding]:
    """These do not wait for the least number: what is over the bound at fewer requests stays so at that number."""
    candidate, active = stage.candidate, stage.active
    usual = active.errors / active.requests if active.requests else 0.0
    excess = (candidate.errors - usual * candidate.requests) / max(candidate.requests, policy.requests)
    text = f"{candidate.errors} of {candidate.requests} failed, {active.errors} of {active.requests} on the active pair"
    yield _finding("errors", _verdict(excess, policy.errors), max(excess, 0.0), policy.errors, text)
    text = f"{candidate.violations} violation{'s' * (candidate.violations != 1)}"
    verdict = _verdict(candidate.violations, policy.violations)
    yield _finding("violations", verdict, candidate.violations, policy.violations, text)


def _disagreement(shadow: TrialFigures | None, policy: TrialPolicy) -> Iterator[Finding]:
    for level, bound in policy.disagreement.items():
        name = f"disagreement.{level}"
        if shadow is None:
            yield _finding(name, Verdict.HOLD, None, bound, "it has not run as a shadow")
        else:
            yield _at_most(name, shadow.disagreement.get(level), bound, shadow, policy)


def _golden(golden: GoldenFigures, policy: TrialPolicy) -> Finding:
    lost = golden.active - golden.candidate
    text = f"{golden.candidate:.2%} of {golden.comments} comments right, {golden.active:.2%} by the active pair"
    return _finding("golden", _verdict(lost, policy.golden_loss), lost, policy.golden_loss, text)


def _at_most(check: str, figure: float | None, bound: float, stage: TrialFigures, policy: TrialPolicy) -> Finding:
    if figure is None or stage.candidate.requests < policy.requests:
        return _finding(check, Verdict.HOLD, figure, bound, "not measured on enough requests")
    return _finding(check, _verdict(figure, bound), figure, bound, f"{figure:.3g}, at most {bound:g} is allowed")


def _verdict(figure: float, bound: float) -> Verdict:
    return Verdict.PROMOTE if figure <= bound else Verdict.REJECT


def _finding(check: str, verdict: Verdict, figure: float | None, bound: float, reason: str) -> Finding:
    return Finding(check=check, verdict=verdict, figure=figure, bound=bound, reason=reason)
