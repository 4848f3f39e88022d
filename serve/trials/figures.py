"""What is measured of a candidate and of the active pair beside it, and how it is counted while they answer."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from serve.routing.answer import Answer
from serve.telemetry.outcomes import VIOLATION, outcome_of
from serve.telemetry.trial_metrics import ARMS, Arm, Mode, TrialMetrics
from serve.trials.agreement import COMPARED, differing, spans_of
from taxonomy.checkpoint.calibration import RESIDUE

KEPT: Final = 10_000
"""Newest times of the engine that a quantile is taken of."""
UNAVAILABLE: Final = {500, 503}


class ArmFigures(BaseModel):
    """Of one pair: requests that it had, those that failed (500 or 503; a violation is one of them), seconds of its
    engine, mean confidence by level (of segments whose paths reach it) and of residue, and each team's share of the
    segments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int
    errors: int
    violations: int
    p50_s: float | None
    p95_s: float | None
    confidence: dict[str, float]
    teams: dict[str, float]


class TrialFigures(BaseModel):
    """Of one stage of a trial: a mode with a share.

    disagreement: share of the code points of the copied comments that the two label differently, by level; empty where
    nothing was copied. team_shift: half the sum of the differences of the teams' shares (total variation distance).
    latency_ratio: the candidate's p95 over the active one's. dropped: copies that were not run, for the load.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode
    share: float
    began: str
    active: ArmFigures
    candidate: ArmFigures
    dropped: int
    disagreement: dict[str, float]
    team_shift: float | None
    latency_ratio: float | None


class _ArmCounts:
    def __init__(self) -> None:
        self.requests = self.errors = self.violations = 0
        self.engine_s: deque[float] = deque(maxlen=KEPT)
        self.teams: Counter[str] = Counter()
        self.confidence: defaultdict[str, float] = defaultdict(float)
        self.reached: Counter[str] = Counter()
        self.segments = 0

    def answered(self, answer: Answer) -> None:
        self.requests += 1
        self.segments += len(answer.segments)
        self.engine_s.append(answer.engine_s)
        for segment in answer.segments:
            self.teams[segment.leaf.team] += 1
            for level, probability in segment.confidence.items():
                self.confidence[level] += probability
                self.reached[level] += 1
        for residue in answer.residue:
            self.confidence[RESIDUE] += residue.confidence
            self.reached[RESIDUE] += 1

    def failed(self, *, is_violation: bool) -> None:
        self.requests += 1
        self.errors += 1
        self.violations += is_violation

    def figures(self) -> ArmFigures:
        p50, p95 = np.quantile(self.engine_s, (0.5, 0.95)).tolist() if self.engine_s else (None, None)
        return ArmFigures(
            requests=self.requests,
            errors=self.errors,
            violations=self.violations,
            p50_s=p50,
            p95_s=p95,
            confidence={level: total / self.reached[level] for level, total in self.confidence.items()},
            teams={team: count / self.segments for team, count in self.teams.items()},
        )


class StageCounts:
    """Counts one stage of a trial, for its figures and for the metrics."""

    def __init__(self, mode: Mode, share: float, metrics: TrialMetrics) -> None:
        self.mode, self.share = mode, share
        self._metrics = metrics
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._arms = {arm: _ArmCounts() for arm in ARMS}
        self._differing: Counter[str] = Counter()
        self._characters = self._dropped = 0

    def answered(self, arm: Arm, answer: Answer) -> None:
        """A request of a canary has its answer."""
        self._arms[arm].answered(answer)
        self._metrics.requests[arm, "answered"].inc()
        self._metrics.engine_s[arm].observe(answer.engine_s)

    def failed(self, arm: Arm, error: Exception) -> None:
        """A request of a canary ended with an error; those that are the client's own are not counted."""
        if (outcome := outcome_of(type(error))).status in UNAVAILABLE:
            self._arms[arm].failed(is_violation=outcome == VIOLATION)
            self._metrics.requests[arm, "violation" if outcome == VIOLATION else "failed"].inc()

    def compared(self, answer: Answer, copy: Answer) -> None:
        """The candidate has answered a copy of what the active pair answered."""
        for arm, made in zip(ARMS, (answer, copy), strict=True):
            self._arms[arm].answered(made)
            self._metrics.engine_s[arm].observe(made.engine_s)
        length = max([0, *(s.end for s in answer.segments), *(r.end for r in answer.residue)])
        self._characters += length
        for level, count in differing(spans_of(answer), spans_of(copy), length).items():
            self._differing[level] += count
            self._metrics.characters[level, "different"].inc(count)
            self._metrics.characters[level, "same"].inc(length - count)
        self._metrics.copies["compared"].inc()

    def uncompared(self, error: Exception) -> None:
        """The candidate could not answer a copy."""
        is_violation = outcome_of(type(error)) == VIOLATION
        self._arms["candidate"].failed(is_violation=is_violation)
        self._metrics.copies["violation" if is_violation else "failed"].inc()

    def dropped(self) -> None:
        """A copy was not run."""
        self._dropped += 1
        self._metrics.copies["dropped"].inc()

    def figures(self) -> TrialFigures:
        active, candidate = (self._arms[arm].figures() for arm in ARMS)
        return TrialFigures(
            mode=self.mode,
            share=self.share,
            began=self._began,
            active=active,
            candidate=candidate,
            dropped=self._dropped,
            disagreement={level: self._differing[level] / self._characters for level in COMPARED}
            if self._characters
            else {},
            team_shift=_shift(active.teams, candidate.teams),
            latency_ratio=candidate.p95_s / active.p95_s if candidate.p95_s is not None and active.p95_s else None,
        )


def _shift(one: dict[str, float], other: dict[str, float]) -> float | None:
    if not one or not other:
        return None
    return sum(abs(one.get(team, 0) - other.get(team, 0)) for team in one.keys() | other.keys()) / 2
