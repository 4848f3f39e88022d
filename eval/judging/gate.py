"""Whether a checkpoint may serve: a policy held against what the two manifests say was measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import norm

from eval.judging.paired import Drop, drop_of
from taxonomy.checkpoint.calibration import RESIDUE, Probability
from taxonomy.checkpoint.gate_record import Finding, GateRecord, Verdict, evidence_of
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.labels import TEAM
from taxonomy.yaml_files import read_model

GENERAL = ("mmlu.accuracy", "mmlu_generative.accuracy")


class GatePolicy(BaseModel):
    """What is demanded; unknown keys are refused.

    scores: name of the scores to judge by, as `eval served --record` wrote it. general: figures that may drop by less
    than `general_drop`, shown at `confidence` (one-sided). violations: most that are allowed. fingerprint: whether it
    must have been reproduced. ece: greatest calibration error of any level.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scores: str = "test"
    general: tuple[str, ...] = GENERAL
    general_drop: Probability = 0.01
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    violations: Annotated[int, Field(ge=0)] = 0
    fingerprint: bool = True
    ece: Probability = 0.05


def read_policy(file: Path) -> GatePolicy:
    """Raises CallWrong naming file, line and key."""
    return read_model(file, GatePolicy)


def decide(candidate: Manifest, baseline: Manifest, policy: GatePolicy, at: datetime) -> GateRecord:
    """The worst finding decides: one failure rejects, one thing not shown holds. The decision is not signed yet."""
    findings = tuple(_findings(candidate, baseline, policy))
    verdicts = {finding.verdict for finding in findings}
    worst = next(v for v in (Verdict.REJECT, Verdict.HOLD, Verdict.PROMOTE) if v in verdicts)
    return GateRecord(
        verdict=worst,
        candidate=candidate.version,
        baseline=baseline.version,
        findings=findings,
        policy=policy.model_dump(mode="json"),
        evidence=evidence_of(candidate.scores, candidate.calibration),
        decided_at=at.isoformat(timespec="seconds"),
    )


def _findings(candidate: Manifest, baseline: Manifest, policy: GatePolicy) -> Iterator[Finding]:
    yield _leaf(candidate, baseline, policy)
    for name in policy.general:
        yield _general(name, candidate, baseline, policy)
    yield _violations(candidate, policy)
    if policy.fingerprint:
        yield _fingerprint(candidate)
    yield _calibration(candidate, policy)


def _leaf(candidate: Manifest, baseline: Manifest, policy: GatePolicy) -> Finding:
    name = policy.scores
    f1 = _figure(candidate, name, "leaf", "micro", "f1")
    bound = _figure(baseline, name, "leaf", "f1_95", 0)
    if f1 is None or bound is None:
        whose = "the candidate's leaf F1" if f1 is None else "the lower bound of the baseline's leaf F1"
        return _not_measured("leaf_f1", f"{whose} under {name!r}", f1, bound)
    sides = [(m.taxonomy, *(m.scores[name].get(key) for key in ("gold", "comments"))) for m in (candidate, baseline)]
    if sides[0] != sides[1]:
        reason = "the two were not measured on the same comments and taxonomy; measure both with eval served --record"
        return _finding("leaf_f1", Verdict.HOLD, f1, bound, reason)
    ok = f1 >= bound
    reason = f"leaf F1 {f1:.4f} is {'not ' * ok}below the baseline's lower bound {bound:.4f}"
    return _finding("leaf_f1", Verdict.PROMOTE if ok else Verdict.REJECT, f1, bound, reason)


def _general(name: str, candidate: Manifest, baseline: Manifest, policy: GatePolicy) -> Finding:
    check, path = f"general.{name}", ("general", *name.split("."))
    sides = [[_figure(side, *path, key) for key in ("value", "stderr", "count")] for side in (baseline, candidate)]
    (before, error_before, asked_before), (after, error_after, asked_after) = sides
    if before is None or after is None or error_before is None or error_after is None:
        return _not_measured(check, f"{name} of both with its error", None, policy.general_drop)
    if asked_before != asked_after or _asked(baseline, *path) != _asked(candidate, *path):
        return _finding(
            check, Verdict.HOLD, None, policy.general_drop, f"{name} was not measured on the same questions"
        )
    if pairs := drop_of(name, candidate.scores, baseline.scores, policy.confidence):
        drop, upper, how = pairs.drop, pairs.upper, _paired(pairs)
    else:
        # Wider than need be where good answers go together; but which answers they were, the manifests do not tell.
        drop, how = before - after, "as independent samples"
        upper = drop + float(norm.ppf(policy.confidence)) * (error_before**2 + error_after**2) ** 0.5
    change = f"{name} went from {before:.4f} to {after:.4f}: a drop of {drop:.4f}, at most {upper:.4f} ({how})"
    demand = f"wanted: below {policy.general_drop} at {policy.confidence:.0%}"
    return _finding(check, _of_drop(drop, upper, policy), upper, policy.general_drop, f"{change}; {demand}")


def _of_drop(drop: float, upper: float, policy: GatePolicy) -> Verdict:
    if drop >= policy.general_drop:
        return Verdict.REJECT
    return Verdict.PROMOTE if upper < policy.general_drop else Verdict.HOLD


def _asked(manifest: Manifest, *path: str) -> Any:
    """The hash of a benchmark's questions; None where it is not kept."""
    try:
        return manifest.scores[path[0]][path[1]].get("asked")
    except (KeyError, IndexError, AttributeError):
        return None


def _paired(pairs: Drop) -> str:
    test = pairs.test
    p = "no difference" if test.p is None else f"McNemar p {test.p:.4f}"
    return f"{pairs.asked} pairs: {test.only_baseline} lost, {test.only_candidate} gained, {p}"


def _violations(candidate: Manifest, policy: GatePolicy) -> Finding:
    scores = candidate.scores.get(policy.scores)
    found = scores.get("violations") if isinstance(scores, dict) else None
    if not isinstance(found, list):
        return _not_measured("violations", f"violations under {policy.scores!r}", None, policy.violations)
    ok = len(found) <= policy.violations
    reason = f"{len(found)} answers broke the contract, {policy.violations} may"
    return _finding("violations", Verdict.PROMOTE if ok else Verdict.REJECT, len(found), policy.violations, reason)


def _fingerprint(candidate: Manifest) -> Finding:
    found = candidate.scores.get("fingerprint")
    reproduced = found.get("reproduced") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(reproduced, bool) or candidate.fingerprint is None:
        return _not_measured("fingerprint", "whether an engine reproduces it, by eval run", None, None)
    if found.get("of") != candidate.fingerprint.digest:
        return _not_measured("fingerprint", "whether it is reproduced: it was recorded anew since", None, None)
    verdict = Verdict.PROMOTE if reproduced else Verdict.REJECT
    why = f": {found['reason']}" if "reason" in found else ""
    return _finding(
        "fingerprint", verdict, None, None, f"the fingerprint is {'not ' * (not reproduced)}reproduced{why}"
    )


def _calibration(candidate: Manifest, policy: GatePolicy) -> Finding:
    # Not of residue: there is so little of it that chance alone moves its error by more than what is allowed.
    # Nor of the team: its threshold is chosen by counting wrong ones, and keeps its promise whatever it is chosen on.
    found = candidate.calibration.figures if candidate.calibration else {}
    figures = {name: each for name, each in found.items() if name not in {RESIDUE, TEAM}}
    errors = {name: each["ece"] for name, each in figures.items() if "ece" in each}
    if not errors or len(errors) < len(figures):
        return _not_measured("calibration", "the calibration error of each level", None, policy.ece)
    worst = max(errors, key=errors.__getitem__)
    ok = errors[worst] <= policy.ece
    reason = f"greatest calibration error {errors[worst]:.4f} ({worst}), {policy.ece} allowed"
    return _finding("calibration", Verdict.PROMOTE if ok else Verdict.REJECT, errors[worst], policy.ece, reason)


def _figure(manifest: Manifest, *path: str | int) -> float | None:
    """The number at a place in the scores; None where there is none."""
    found: Any = manifest.scores
    for key in path:
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            return None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _not_measured(check: str, what: str, figure: float | None, bound: float | None) -> Finding:
    return _finding(check, Verdict.HOLD, figure, bound, f"not measured: {what}")


def _finding(check: str, verdict: Verdict, figure: float | None, bound: float | None, reason: str) -> Finding:
    return Finding(check=check, verdict=verdict, figure=figure, bound=bound, reason=reason)
