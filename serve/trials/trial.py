"""A candidate on trial beside the active pair: on copies of requests (shadow) or on a share of them (canary)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from serve.routing.active import Active
from serve.routing.answer import Answer
from serve.routing.router import Router
from serve.telemetry.trial_metrics import MODES, Mode, TrialMetrics
from serve.trials import canary, golden
from serve.trials.evidence import Evidence, TrialDecision
from serve.trials.figures import StageCounts, TrialFigures
from serve.trials.golden import GoldenFigures
from serve.trials.policy import TrialRules, judged, worst
from serve.trials.shadow import Shadow
from taxonomy.checkpoint.gate_record import Finding, Verdict
from taxonomy.errors import ActivationRefused, RegistryFailed, TrialEnded
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)
JUDGE_S: Final = 1.0
BY_POLICY: Final = "policy"


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What the candidate gets: copies or requests, and which share of all, over 0 and up to 1."""

    mode: Mode
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share {self.share:g} is not over 0 and up to 1")


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """Which candidate is to be tried, how it begins, and who asks. without_gate: who takes that on."""

    candidate: CheckpointId
    by: str
    plan: TrialPlan
    without_gate: str | None = None


class TrialEnding(NamedTuple):
    """How a trial is to end, and who says so."""

    decision: TrialDecision
    by: str
    reason: str


class Trial:
    """Splits the traffic while it runs, and ends where a person or the policy says so.

    candidate: its id. plan: what it gets now. golden: None before that is measured, and where there are no comments.
    """

    def __init__(
        self,
        active: Active,
        request: TrialRequest,
        rules: TrialRules,
        write_evidence: Callable[[Trial, TrialEnding], Awaitable[None]],
        metrics: TrialMetrics,
    ) -> None:
        """`write_evidence` raises RegistryFailed where it cannot."""
        self.candidate, self.plan = request.candidate, request.plan
        self.golden: GoldenFigures | None = None
        self._request = request
        self._instead_of = active.router.pair.checkpoint
        self._active = active
        self._rules = rules
        self._write_evidence = write_evidence
        self._metrics = metrics
        self._counts = StageCounts(request.plan.mode, request.plan.share, metrics)
        self._earlier: list[TrialFigures] = []
        self._router: Router | None = None
        self._shadow: Shadow | None = None
        self._ending: TrialEnding | None = None
        self._has_ending = asyncio.Event()

    @property
    def stages(self) -> tuple[TrialFigures, ...]:
        """The figures of each mode and share that the trial had, the newest last."""
        return (*self._earlier, self._counts.figures())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the policy says now."""
        return judged(self.stages, self.golden, self._rules.policy)

    @property
    def is_ending(self) -> bool:
        """Whether it is decided how it ends."""
        return self._ending is not None

    def change(self, plan: TrialPlan) -> None:
        """Go on with another mode or share; what was counted so far is kept as a stage of its own.

        Raises ActivationRefused where the trial is ending.
        """
        self._check_open()
        self._earlier.append(self._counts.figures())
        self.plan, self._counts = plan, StageCounts(plan.mode, plan.share, self._metrics)
        if self._router:
            self._expose_share(plan)

    def end(self, ending: TrialEnding) -> None:
        """The first ending counts. Raises ActivationRefused where there is one already."""
        self._check_open()
        self._ending = ending
        self._has_ending.set()

    def _check_open(self) -> None:
        if self._ending:
            raise ActivationRefused(f"the trial is {self._ending.decision} already, by {self._ending.by}")

    async def run(self, candidate: Router) -> None:
        """To its end, which is recorded. Returns where the candidate is to be the active one.

        Raises TrialEnded, EngineFailed where it cannot answer the golden comments, or RegistryFailed.
        """
        ending = TrialEnding("stopped", "service", "the service stops, or the trial's time is over")
        try:
            if self._rules.gold:
                self.golden = await golden.measured(self._active.router, candidate, self._rules.gold)
            ending = await self._split(candidate)
        except Exception as error:
            ending = TrialEnding("rejected", "service", str(error))
            raise
        finally:
            await self._record(ending)
        if ending.decision != "promoted":
            raise TrialEnded(f"{ending.decision} by {ending.by}: {ending.reason}")

    async def _split(self, candidate: Router) -> TrialEnding:
        shadow = Shadow(candidate, lambda: self._active.router.admission.waiting > 0)
        self._router, self._shadow, self._active.split = candidate, shadow, self
        self._expose_share(self.plan)
        try:
            while self._ending is None:
                self._ending = self._judgement(candidate)
                if self._ending is None:
                    await self._next_look()
            return self._ending
        finally:
            self._active.split = None
            self._expose_share(None)
            await shadow.close()

    async def _next_look(self) -> None:
        try:
            async with asyncio.timeout(JUDGE_S):
                await self._has_ending.wait()
        except TimeoutError:
            return

    def _judgement(self, candidate: Router) -> TrialEnding | None:
        """What has to be done without being asked."""
        if not candidate.is_alive:
            return TrialEnding("rejected", BY_POLICY, "its engine has died")
        findings, policy = self.findings, self._rules.policy
        verdict = worst(findings)
        reason = "; ".join(f"{f.check}: {f.reason}" for f in findings if f.verdict is verdict)
        if verdict is Verdict.REJECT and policy.rolls_back:
            return TrialEnding("rejected", BY_POLICY, reason)
        if verdict is Verdict.PROMOTE and policy.promotes:
            return TrialEnding("promoted", BY_POLICY, reason)
        return None

    async def _record(self, ending: TrialEnding) -> None:
        """A promotion without its evidence is none; any other end does not wait for the registry."""
        try:
            await self._write_evidence(self, ending)
        except RegistryFailed:
            if ending.decision == "promoted":
                raise
            log.exception("the evidence is kept here alone: %s", self.evidence(ending, "").model_dump_json())
        self._metrics.decisions[ending.decision].inc()

    def evidence(self, ending: TrialEnding, replica: str) -> Evidence:
        """All there is to be recorded."""
        findings = self.findings
        return Evidence(
            candidate=self.candidate,
            active=self._instead_of,
            replica=replica,
            began_by=self._request.by,
            without_gate=self._request.without_gate,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            decision=ending.decision,
            decided_by=ending.by,
            reason=ending.reason,
            verdict=worst(findings),
            findings=findings,
            policy=self._rules.policy,
            golden=self.golden,
            stages=self.stages,
        )

    def _expose_share(self, plan: TrialPlan | None) -> None:
        for mode in MODES:
            self._metrics.share[mode].set(plan.share if plan and plan.mode == mode else 0)

    # Split (serve.routing.active): what becomes of the traffic.

    def candidate_for(self, name: str) -> Router | None:
        candidate = self._router
        if candidate is None or self.plan.mode != "canary" or not candidate.is_alive:
            return None
        return candidate if canary.takes(candidate.pair.checkpoint, name, self.plan.share) else None

    def answered(self, router: Router, name: str, comment: str, answer: Answer) -> None:
        candidate, plan = self._router, self.plan
        if candidate is None or self._shadow is None:
            return
        if plan.mode == "canary":
            self._counts.answered("candidate" if router is candidate else "active", answer)
        elif router is not candidate and canary.takes(candidate.pair.checkpoint, name, plan.share):
            self._shadow.copy(self._counts, comment, answer)

    def failed(self, router: Router, error: Exception) -> None:
        if self.plan.mode == "canary":
            self._counts.failed("candidate" if router is self._router else "active", error)
