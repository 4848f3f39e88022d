"""Activation: another pair is loaded, warmed and proven, and only then takes the traffic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from opentelemetry.trace import get_current_span

from serve.activation.phases import LIMITS_S, Phase, followed
from serve.activation.proof import verify
from serve.activation.strategy import Strategy
from serve.registry.registry import Registry
from serve.routing.active import Active
from serve.routing.pair import Pair, pair_of
from serve.routing.router import Router
from serve.telemetry.metrics import SPAN
from serve.telemetry.traces import span
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.errors import ActivationFailed, ActivationRefused, TrialEnded
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)
Try = Callable[[Router], Awaitable[None]]
"""Tries a candidate out on traffic; returns when it is to be the active one, raises TrialEnded when it is not."""


@dataclass(frozen=True, slots=True)
class ActivationRequest:
    """What an admin asks for. checkpoint: None is the one before (a rollback). without_gate: who takes that on.

    follows: the registry has made it active, and this service follows.
    """

    checkpoint: CheckpointId | None
    by: str
    without_gate: str | None = None
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """An activation, under way or over. before: what served when it began. broke_off: where it ended, and why.

    stopped: its trial was ended on purpose, by a person or by the policy.
    """

    wish: ActivationRequest
    before: CheckpointId
    outcome: Literal["under way", "active", "failed", "stopped"] = "under way"
    checkpoint: CheckpointId | None = None
    broke_off: Phase | None = None
    reason: str = ""
    seconds: Mapping[Phase, float] = field(default_factory=dict)


class _Target(NamedTuple):
    checkpoint: CheckpointId
    instead_of: CheckpointId | None


class Activator:
    """Activates one version of the registry at a time. Whatever fails before the shift leaves the old pair serving."""

    def __init__(
        self,
        active: Active,
        registry: Registry,
        strategy: Strategy,
        cache: Path,
        limits_s: Mapping[Phase, float] = LIMITS_S,
    ) -> None:
        self.active = active
        self.registry = registry
        self.phase = Phase.IDLE
        self.report: Report | None = None
        self._strategy = strategy
        self._cache = cache
        self._tracer = active.metrics.tracer
        self._limits_s = limits_s

    async def activate(
        self, wish: ActivationRequest, checked: asyncio.Event | None = None, trial: Try | None = None
    ) -> Report:
        """All the way. `checked` is set when nothing speaks against it any more and loading begins.

        With a trial the verified engine is tried out before it takes all traffic. Raises ActivationRefused, ActivationFailed,
        CheckpointUnknown, CheckpointInvalid, RegistryFailed, EngineFailed or TrialEnded; then the old pair serves as
        before.
        """
        self._begin(wish)
        with span(self._tracer, "activation"):
            try:
                return await self._activated(wish, checked, trial)
            finally:
                told = {"checkpoint": self.report.checkpoint, "outcome": self.report.outcome} if self.report else {}
                get_current_span().set_attributes({f"{SPAN}{name}": value for name, value in told.items() if value})

    async def _activated(self, wish: ActivationRequest, checked: asyncio.Event | None, trial: Try | None) -> Report:
        new: Router | None = None
        try:
            async with self._in(Phase.RESOLVING):
                target = await asyncio.to_thread(self._resolved, wish)
            self._note(checkpoint=target.checkpoint)
            async with self._in(Phase.CHECKING):
                pair, fingerprint = await asyncio.to_thread(self._checked, target, wish)
            if checked:
                checked.set()
            if self._strategy.pauses:
                async with self._in(Phase.PAUSING):
                    await self.active.paused()
            async with self._in(Phase.LOADING):
                new = await self._strategy.load(pair)
            async with self._in(Phase.WARMING):
                await new.warm()
            async with self._in(Phase.VERIFYING):
                await verify(new, fingerprint)
            if trial:
                async with self._in(Phase.TRYING):
                    await trial(new)
            async with self._in(Phase.SHIFTING):
                await asyncio.to_thread(self._recorded, target, wish)
                old = self.active.shift(new)
        except BaseException as error:
            await self._return(new, error)
            raise
        return await self._retire(old)

    def _begin(self, wish: ActivationRequest) -> None:
        self.check_idle()
        self.report = Report(wish, self.active.router.pair.checkpoint)

    @property
    def pauses(self) -> bool:
        """Whether there is one engine, which cannot answer with two pairs."""
        return self._strategy.pauses

    def check_idle(self) -> None:
        """Raises ActivationRefused while an activation is under way."""
        if self.phase is not Phase.IDLE:
            under_way = self.report and (self.report.checkpoint or self.report.wish.checkpoint or "a rollback")
            remedy = "promote or stop it first" if self.phase is Phase.TRYING else "wait for its end"
            raise ActivationRefused(f"{under_way} is being activated ({self.phase}); {remedy}")

    def _resolved(self, wish: ActivationRequest) -> _Target:
        now = self.registry.read()
        checkpoint = wish.checkpoint or now.before
        now.get(checkpoint)
        if checkpoint == now.active == self.active.router.pair.checkpoint:
            raise ActivationRefused(f"{checkpoint} is active already")
        if wish.follows and checkpoint != now.active:
            raise ActivationRefused(f"{now.active} became active meanwhile, instead of {checkpoint}")
        return _Target(checkpoint, now.active)

    def _checked(self, target: _Target, wish: ActivationRequest) -> tuple[Pair, Fingerprint]:
        fingerprint = self.registry.may_serve(target.checkpoint, wish.without_gate)
        taxonomy = self.registry.taxonomy(target.checkpoint)
        with self.registry.reached():
            pair = pair_of(str(self.registry.folder(target.checkpoint)), taxonomy, self._cache)
            self._strategy.check(pair)
        return pair, fingerprint

    def _recorded(self, target: _Target, wish: ActivationRequest) -> None:
        if target.checkpoint == target.instead_of:
            self.registry.confirm(target.checkpoint)
        elif wish.checkpoint is None:
            self.registry.roll_back(target.checkpoint, target.instead_of, wish.by)
        else:
            self.registry.activate(target.checkpoint, target.instead_of, wish.by, wish.without_gate)
        self.active.metrics.swaps.registry_says(target.checkpoint)

    async def _return(self, new: Router | None, error: BaseException) -> None:
        """The old pair answers as before; what there is of the new one is taken down."""
        reason = str(error) or ("the service stops" if isinstance(error, asyncio.CancelledError) else repr(error))
        serving = self.active.router.pair.checkpoint
        outcome = "stopped" if isinstance(error, TrialEnded) else "failed"
        self._note(outcome=outcome, broke_off=self.phase, reason=reason)
        level = logging.ERROR if outcome == "failed" else logging.WARNING
        log.log(level, "activation %s while %s: %s; %s stays", outcome, self.phase, reason, serving)
        self.active.metrics.swaps.ended(outcome, self.phase)
        self._go(Phase.RETURNING)
        if new:
            await self._emptied(new)
        if fault := await self._ended(self._strategy.undo(new)):
            self._note(reason=f"{reason}; then {fault}")
        self._go(Phase.IDLE)

    async def _emptied(self, candidate: Router) -> None:
        """What a trial sent to the candidate ends there, or is cut off when the time is over."""
        try:
            async with asyncio.timeout(self._limits_s[self.phase]):
                await self.active.drained(candidate)
        except TimeoutError:
            log.warning("%d requests on %s are cut off", self.active.running(candidate), candidate.pair.checkpoint)

    async def _retire(self, old: Router) -> Report:
        """The new pair serves. What still runs on the old one ends there, or is cut off when the time is over."""
        try:
            async with self._in(Phase.DRAINING):
                await self.active.drained(old)
        except ActivationFailed as error:
            log.warning("%s; %d requests on %s are cut off", error, self.active.running(old), old.pair.checkpoint)
        finally:
            self._go(Phase.RETIRING)
            await self._ended(self._strategy.retire(old))
            self.active.metrics.swaps.ended("active", self.phase)
            self._go(Phase.IDLE)
        return self._note(outcome="active")

    async def _ended(self, work: Awaitable[None]) -> str:
        """What was at fault, for an activation must come to its end: an engine that was killed fails as it likes."""
        try:
            with span(self._tracer, self.phase):
                async with asyncio.timeout(self._limits_s[self.phase]):
                    await work
        except Exception as error:
            log.exception("activation: a fault while %s", self.phase)
            return str(error) or repr(error)
        return ""

    @asynccontextmanager
    async def _in(self, phase: Phase) -> AsyncIterator[None]:
        """Raises ActivationFailed when the phase's time is over."""
        self._go(phase)
        started = time.monotonic()
        limit = self._limits_s[phase]
        try:
            with span(self._tracer, phase):
                async with asyncio.timeout(limit) as timer:
                    yield
        except TimeoutError as error:
            if timer.expired():
                raise ActivationFailed(f"{phase} took longer than {limit:g} s") from error
            raise
        finally:
            self._took(phase, time.monotonic() - started)

    def _go(self, phase: Phase) -> None:
        self.phase = followed(self.phase, phase)
        self.active.metrics.swaps.went(phase)
        log.info("activation: %s", phase)

    def _took(self, phase: Phase, seconds: float) -> None:
        before = self.report.seconds if self.report else {}
        self._note(seconds={**before, phase: round(seconds, 3)})

    def _note(self, **changed: Any) -> Report:
        if self.report is None:
            raise ValueError("no activation has begun")
        self.report = replace(self.report, **changed)
        return self.report
