"""A candidate on trial beside the active pair: on copies of requests (shadow) or on a share of them (canary)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from serve.activation.activation import ActivationRequest
from serve.routing.active import Active
from serve.routing.answer import Answer
from serve.routing.router import Router
from serve.telemetry.trial_metrics import MODES, Mode
from serve.trials import canary, golden
from serve.trials.evidence import Ending, Evidence
from serve.trials.figures import Figures, Tally
from serve.trials.golden import GoldenFigures
from serve.trials.policy import Rules, judged, worst
from serve.trials.shadow import Shadow
from taxonomy.checkpoint.gate_record import Finding, Verdict
from taxonomy.errors import ActivationRefused, RegistryFailed, TrialEnded

log = logging.getLogger(__name__)
JUDGE_S: Final = 1.0
BY_POLICY: Final = "policy"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the candidate gets: copies or requests, and which share of all, over 0 and up to 1."""

    mode: Mode
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share {self.share:g} is not over 0 and up to 1")


class Word(NamedTuple):
    """How a trial is to end, and who says so."""

    decision: Ending
    by: str
    reason: str


class Trial:
    """Splits the traffic while it runs, and ends by the word of a person or of the policy."""

    def __init__(
        self,
        active: Active,
        wish: ActivationRequest,
        plan: Plan,
        rules: Rules,
        keep: Callable[[Trial, Word], Awaitable[None]],
    ) -> None:
        """`keep` keeps the evidence; it raises RegistryFailed where it cannot."""
        self.wish, self.plan = wish, plan
        self.golden: GoldenFigures | None = None
        self.instead_of = active.router.pair.checkpoint
        self._active = active
        self._rules = rules
        self._keep = keep
        self._metrics = active.metrics.trials
        self._tally = Tally(plan.mode, plan.share, self._metrics)
        self._earlier: list[Figures] = []
        self._candidate: Router | None = None
        self._shadow: Shadow | None = None
        self._word: Word | None = None
        self._told = asyncio.Event()

    @property
    def stages(self) -> tuple[Figures, ...]:
        """The figures of each mode and share that the trial had, the newest last."""
        return (*self._earlier, self._tally.figures())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the policy says now."""
        return judged(self.stages, self.golden, self._rules.policy)

    @property
    def is_ending(self) -> bool:
        """Whether its word has been given."""
        return self._word is not None

    def change(self, plan: Plan) -> None:
        """Go on with another mode or share; what was counted so far is kept as a stage of its own.

        Raises ActivationRefused where the trial is ending.
        """
        self._check_open()
        self._earlier.append(self._tally.figures())
        self.plan, self._tally = plan, Tally(plan.mode, plan.share, self._metrics)
        if self._candidate:
            self._show(plan)

    def end(self, word: Word) -> None:
        """The first word counts. Raises ActivationRefused where one was given already."""
        self._check_open()
        self._word = word
        self._told.set()

    def _check_open(self) -> None:
        if self._word:
            raise ActivationRefused(f"the trial is {self._word.decision} already, by {self._word.by}")

    async def __call__(self, candidate: Router) -> None:
        """To its end, which is kept. Returns where the candidate is to be the active one.

        Raises TrialEnded, EngineFailed where it cannot answer the golden comments, or RegistryFailed.
        """
        word = Word("stopped", "service", "the service stops, or the trial's time is over")
        try:
            if self._rules.gold:
                self.golden = await golden.measured(self._active.router, candidate, self._rules.gold)
            word = await self._split(candidate)
        except Exception as error:
            word = Word("rejected", "service", str(error))
            raise
        finally:
            await self._kept(word)
        if word.decision != "promoted":
            raise TrialEnded(f"{word.decision} by {word.by}: {word.reason}")

    async def _split(self, candidate: Router) -> Word:
        shadow = Shadow(candidate, lambda: self._active.router.admission.waiting > 0)
        self._candidate, self._shadow, self._active.split = candidate, shadow, self
        self._show(self.plan)
        try:
            while self._word is None:
                self._word = self._judgement(candidate)
                if self._word is None:
                    await self._next_look()
            return self._word
        finally:
            self._active.split = None
            self._show(None)
            await shadow.close()

    async def _next_look(self) -> None:
        try:
            async with asyncio.timeout(JUDGE_S):
                await self._told.wait()
        except TimeoutError:
            return

    def _judgement(self, candidate: Router) -> Word | None:
        """What has to be done without being asked."""
        if not candidate.is_alive:
            return Word("rejected", BY_POLICY, "its engine has died")
        findings, policy = self.findings, self._rules.policy
        verdict = worst(findings)
        reason = "; ".join(f"{f.check}: {f.reason}" for f in findings if f.verdict is verdict)
        if verdict is Verdict.REJECT and policy.rolls_back:
            return Word("rejected", BY_POLICY, reason)
        if verdict is Verdict.PROMOTE and policy.promotes:
            return Word("promoted", BY_POLICY, reason)
        return None

    async def _kept(self, word: Word) -> None:
        """A promotion without its evidence is none; any other end does not wait for the registry."""
        try:
            await self._keep(self, word)
        except RegistryFailed:
            if word.decision == "promoted":
                raise
            log.exception("the evidence is kept here alone: %s", self.evidence(word, "").model_dump_json())
        self._metrics.decisions[word.decision].inc()

    def evidence(self, word: Word, replica: str) -> Evidence:
        """All there is to be kept."""
        findings = self.findings
        return Evidence(
            candidate=self.wish.checkpoint or self.instead_of,
            active=self.instead_of,
            replica=replica,
            began_by=self.wish.by,
            without_gate=self.wish.without_gate,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            decision=word.decision,
            decided_by=word.by,
            reason=word.reason,
            verdict=worst(findings),
            findings=findings,
            policy=self._rules.policy.model_dump(mode="json"),
            golden=self.golden,
            stages=self.stages,
        )

    def _show(self, plan: Plan | None) -> None:
        for mode in MODES:
            self._metrics.share[mode].set(plan.share if plan and plan.mode == mode else 0)

    # What the traffic tells it (Split of serve.active).

    def candidate_for(self, name: str) -> Router | None:
        candidate = self._candidate
        if candidate is None or self.plan.mode != "canary" or not candidate.is_alive:
            return None
        return candidate if canary.takes(candidate.pair.checkpoint, name, self.plan.share) else None

    def answered(self, router: Router, name: str, comment: str, answer: Answer) -> None:
        candidate, plan = self._candidate, self.plan
        if candidate is None or self._shadow is None:
            return
        if plan.mode == "canary":
            self._tally.answered("candidate" if router is candidate else "active", answer)
        elif router is not candidate and canary.takes(candidate.pair.checkpoint, name, plan.share):
            self._shadow.copy(self._tally, comment, answer)

    def failed(self, router: Router, error: Exception) -> None:
        if self.plan.mode == "canary":
            self._tally.failed("candidate" if router is self._candidate else "active", error)
