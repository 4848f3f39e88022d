"""Whether a checkpoint may serve: a policy held against what the two manifests say was measured."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.stats import norm

from eval.judging.paired import Drop, drop_of
from taxonomy import command_line
from taxonomy.checkpoint.calibration import Probability
from taxonomy.checkpoint.gate_record import KEY_VARIABLE, Decision, Finding, Verdict, evidence_of
from taxonomy.checkpoint.manifest import Manifest, publish, read_manifest, verify
from taxonomy.errors import CallWrong

GENERAL = ("mmlu.accuracy", "mmlu_generative.accuracy")


class Policy(BaseModel):
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


def read_policy(file: Path) -> Policy:
    """Raises CallWrong naming the key."""
    try:
        return Policy.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise CallWrong(f"policy {file}: {faults}") from error
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise CallWrong(f"policy {file}: {' '.join(str(error).split())}") from error


def decide(candidate: Manifest, baseline: Manifest, policy: Policy, at: datetime) -> Decision:
    """The worst finding decides: one failure rejects, one thing not shown holds. The decision is not signed yet."""
    findings = tuple(_findings(candidate, baseline, policy))
    verdicts = {finding.verdict for finding in findings}
    worst = next(v for v in (Verdict.REJECT, Verdict.HOLD, Verdict.PROMOTE) if v in verdicts)
    return Decision(
        verdict=worst,
        candidate=candidate.version,
        baseline=baseline.version,
        findings=findings,
        policy=policy.model_dump(mode="json"),
        evidence=evidence_of(candidate.scores, candidate.calibration),
        decided_at=at.isoformat(timespec="seconds"),
    )


def _findings(candidate: Manifest, baseline: Manifest, policy: Policy) -> Iterator[Finding]:
    yield _leaf(candidate, baseline, policy)
    for name in policy.general:
        yield _general(name, candidate.scores, baseline.scores, policy)
    yield _violations(candidate.scores, policy)
    if policy.fingerprint:
        yield _fingerprint(candidate)
    yield _calibration(candidate, policy)


def _leaf(candidate: Manifest, baseline: Manifest, policy: Policy) -> Finding:
    name = policy.scores
    f1 = _figure(candidate.scores, name, "leaf", "micro", "f1")
    bound = _figure(baseline.scores, name, "leaf", "f1_95", 0)
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


def _general(name: str, candidate: dict[str, Any], baseline: dict[str, Any], policy: Policy) -> Finding:
    check, path = f"general.{name}", ("general", *name.split("."))
    sides = [[_figure(scores, *path, key) for key in ("value", "stderr", "count")] for scores in (baseline, candidate)]
    (before, error_before, asked_before), (after, error_after, asked_after) = sides
    if before is None or after is None or error_before is None or error_after is None:
        return _not_measured(check, f"{name} of both with its error", None, policy.general_drop)
    if asked_before != asked_after or _asked(baseline, *path) != _asked(candidate, *path):
        return _finding(
            check, Verdict.HOLD, None, policy.general_drop, f"{name} was not measured on the same questions"
        )
    if pairs := drop_of(name, candidate, baseline, policy.confidence):
        drop, upper, how = pairs.drop, pairs.upper, _paired(pairs)
    else:
        # Wider than need be where good answers go together; but which answers they were, the manifests do not tell.
        drop, how = before - after, "as independent samples"
        upper = drop + float(norm.ppf(policy.confidence)) * (error_before**2 + error_after**2) ** 0.5
    said = f"{name} went from {before:.4f} to {after:.4f}: a drop of {drop:.4f}, at most {upper:.4f} ({how})"
    wanted = f"wanted: below {policy.general_drop} at {policy.confidence:.0%}"
    return _finding(check, _of_drop(drop, upper, policy), upper, policy.general_drop, f"{said}; {wanted}")


def _of_drop(drop: float, upper: float, policy: Policy) -> Verdict:
    if drop >= policy.general_drop:
        return Verdict.REJECT
    return Verdict.PROMOTE if upper < policy.general_drop else Verdict.HOLD


def _asked(scores: dict[str, Any], *path: str) -> Any:
    """The hash of a benchmark's questions; None where it is not kept."""
    try:
        return scores[path[0]][path[1]].get("asked")
    except (KeyError, IndexError, AttributeError):
        return None


def _paired(pairs: Drop) -> str:
    test = pairs.test
    p = "no difference" if test.p is None else f"McNemar p {test.p:.4f}"
    return f"{pairs.asked} pairs: {test.only_baseline} lost, {test.only_candidate} gained, {p}"


def _violations(scores: dict[str, Any], policy: Policy) -> Finding:
    found = scores.get(policy.scores, {}).get("violations") if isinstance(scores.get(policy.scores), dict) else None
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


def _calibration(candidate: Manifest, policy: Policy) -> Finding:
    figures = candidate.calibration.figures if candidate.calibration else {}
    errors = {name: each["ece"] for name, each in figures.items() if "ece" in each}
    if not errors or len(errors) < len(figures):
        return _not_measured("calibration", "the calibration error of each level", None, policy.ece)
    worst = max(errors, key=errors.__getitem__)
    ok = errors[worst] <= policy.ece
    reason = f"greatest calibration error {errors[worst]:.4f} ({worst}), {policy.ece} allowed"
    return _finding("calibration", Verdict.PROMOTE if ok else Verdict.REJECT, errors[worst], policy.ece, reason)


def _figure(scores: dict[str, Any], *path: str | int) -> float | None:
    """The number at a place in the scores; None where there is none."""
    found: Any = scores
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


def add_gate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval gate`."""
    parser.add_argument("--candidate", type=Path, required=True, help="a checkpoint directory; it keeps the decision")
    parser.add_argument("--baseline", type=Path, required=True, help="the active checkpoint's directory")
    parser.add_argument("--policy", type=Path, help="YAML; what it leaves out is as by default")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_gate)


def _gate(given: argparse.Namespace) -> int:
    """0: promote, 1: hold or reject."""
    for folder in (given.candidate, given.baseline):
        if not folder.is_dir():
            raise CallWrong(f"there is no checkpoint directory {folder}")
    policy = read_policy(given.policy) if given.policy else Policy()
    candidate, baseline = read_manifest(given.candidate), read_manifest(given.baseline)
    verify(given.candidate, candidate)
    key = os.environ.get(KEY_VARIABLE, "")
    decision = decide(candidate, baseline, policy, datetime.now(UTC)).signed(key)
    publish(given.candidate, candidate.model_copy(update={"decision": decision}))
    signed = "signed" if decision.signature else f"unsigned: there is no {KEY_VARIABLE} in the environment"
    lines = [f"  {finding.verdict:<8}{finding.check}: {finding.reason}" for finding in decision.findings]
    text = "\n".join([f"{decision.verdict}: {candidate.version} against {baseline.version} ({signed})", *lines])
    command_line.tell(decision.model_dump(mode="json") | {"signed": bool(decision.signature)}, text, as_json=given.json)
    return 0 if decision.verdict is Verdict.PROMOTE else 1
