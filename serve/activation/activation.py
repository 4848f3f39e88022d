"""Activation: another pair is loaded, warmed and proven, and only then takes the traffic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from opentelemetry.trace import Tracer, get_current_span

from serve.activation.phases import LIMITS_S, Phase, followed
from serve.activation.proof import verify
from serve.activation.strategy import Strategy
from serve.registry.registry import Registry
from serve.routing.active import Active
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.telemetry.activation_metrics import ActivationMetrics
from serve.telemetry.metrics import SPAN
from serve.telemetry.traces import NO_TRACER, span
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.errors import ActivationFailed, ActivationRefused, TrialEnded
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)
RunTrial = Callable[[Router], Awaitable[None]]
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
class Activation:
    """One activation, under way or over. before: what served when it began. broke_off: where it ended, and why.

    stopped: its trial was ended on purpose, by a person or by the policy.
    """

    request: ActivationRequest
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
    """Activates one checkpoint of the registry at a time. What fails before the shift leaves the old pair serving.

    phase: where it is now. activation: the one under way, or the last.
    """

    def __init__(
        self,
        active: Active,
        registry: Registry,
        strategy: Strategy,
        cache: Path,
        metrics: ActivationMetrics,
        *,
        limits_s: Mapping[Phase, float] = LIMITS_S,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.active = active
        self.registry = registry
        self.phase = Phase.IDLE
        self.activation: Activation | None = None
        self._strategy = strategy
        self._cache = cache
        self._metrics = metrics
        self._tracer = tracer
        self._limits_s = limits_s
        self._registry_active: CheckpointId | None = None
        metrics.watch_skew(lambda: self.is_skewed)

    @property
    def serving(self) -> Pair:
        """The pair that answers here."""
        return self.active.router.pair

    @property
    def is_idle(self) -> bool:
        """Whether no activation is under way."""
        return self.phase is Phase.IDLE

    @property
    def pauses(self) -> bool:
        """Whether there is one engine, which cannot answer with two pairs."""
        return self._strategy.pauses

    @property
    def is_skewed(self) -> bool:
        """Whether the registry, as it was read last, says that another checkpoint should serve here."""
        return self._registry_active is not None and self._registry_active != self.serving.checkpoint

    def note_registry(self, active: CheckpointId | None) -> None:
        """What is active there, as it was just read or written."""
        self._registry_active = active
        self._metrics.registry_active(active)

    def check_idle(self) -> None:
        """Raises ActivationRefused while an activation is under way."""
        if not self.is_idle:
            current = self._current
            under_way = current.checkpoint or current.request.checkpoint or "a rollback"
            remedy = "promote or stop it first" if self.phase is Phase.TRYING else "wait for its end"
            raise ActivationRefused(f"{under_way} is being activated ({self.phase}); {remedy}")

    async def activate(
        self, request: ActivationRequest, checked: asyncio.Event | None = None, trial: RunTrial | None = None
    ) -> Activation:
        """All the way. `checked` is set when nothing speaks against it any more and loading begins.

        With a trial the verified engine is tried out before it takes all traffic. Raises ActivationRefused,
        ActivationFailed, CheckpointUnknown, CheckpointInvalid, RegistryFailed, EngineFailed or TrialEnded; then the old
        pair serves as before.
        """
        self.check_idle()
        self.activation = Activation(request, self.serving.checkpoint)
        with span(self._tracer, "activation"):
            try:
                return await self._activated(request, checked, trial)
            finally:
                result = self._current
                attributes = {"checkpoint": result.checkpoint, "outcome": result.outcome}
                get_current_span().set_attributes({f"{SPAN}{key}": value for key, value in attributes.items() if value})

    async def _activated(
        self, request: ActivationRequest, checked: asyncio.Event | None, trial: RunTrial | None
    ) -> Activation:
        new: Router | None = None
        try:
            async with self._in(Phase.RESOLVING):
                target = await asyncio.to_thread(self._resolved, request)
            self.activation = replace(self._current, checkpoint=target.checkpoint)
            async with self._in(Phase.CHECKING):
                pair, fingerprint = await asyncio.to_thread(self._checked, target, request)
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
                await asyncio.to_thread(self._record, target, request)
                old = self.active.shift(new)
        except BaseException as error:
            await self._return(new, error)
            raise
        return await self._retire(old)

    def _resolved(self, request: ActivationRequest) -> _Target:
        now = self.registry.read()
        checkpoint = request.checkpoint or now.before
        now.get(checkpoint)
        if checkpoint == now.active == self.serving.checkpoint:
            raise ActivationRefused(f"{checkpoint} is active already")
        if request.follows and checkpoint != now.active:
            raise ActivationRefused(f"{now.active} became active meanwhile, instead of {checkpoint}")
        return _Target(checkpoint, now.active)

    def _checked(self, target: _Target, request: ActivationRequest) -> tuple[Pair, Fingerprint]:
        fingerprint = self.registry.may_serve(target.checkpoint, request.without_gate)
        taxonomy = self.registry.taxonomy(target.checkpoint)
        with self.registry.reached():
            pair = pair_of(str(self.registry.folder(target.checkpoint)), taxonomy, self._cache)
            self._strategy.check(pair)
        return pair, fingerprint

    def _record(self, target: _Target, request: ActivationRequest) -> None:
        if target.checkpoint == target.instead_of:
            self.registry.confirm(target.checkpoint)
        elif request.checkpoint is None:
            self.registry.roll_back(target.checkpoint, target.instead_of, request.by)
        else:
            self.registry.activate(target.checkpoint, target.instead_of, request.by, request.without_gate)
        self.note_registry(target.checkpoint)

    async def _return(self, new: Router | None, error: BaseException) -> None:
        """The old pair answers as before; what there is of the new one is taken down."""
        reason = str(error) or ("the service stops" if isinstance(error, asyncio.CancelledError) else repr(error))
        outcome: Literal["stopped", "failed"] = "stopped" if isinstance(error, TrialEnded) else "failed"
        self.activation = replace(self._current, outcome=outcome, broke_off=self.phase, reason=reason)
        level = logging.ERROR if outcome == "failed" else logging.WARNING
        log.log(level, "activation %s while %s: %s; %s stays", outcome, self.phase, reason, self.serving.checkpoint)
        self._metrics.ended(outcome, self.phase)
        self._enter(Phase.RETURNING)
        if new:
            await self._drain_candidate(new)
        if fault := await self._fault_of(self._strategy.undo(new)):
            self.activation = replace(self._current, reason=f"{reason}; then {fault}")
        self._enter(Phase.IDLE)

    async def _drain_candidate(self, candidate: Router) -> None:
        """What a trial sent to the candidate ends there, or is cut off when the time is over."""
        try:
            async with asyncio.timeout(self._limits_s[self.phase]):
                await self.active.drained(candidate)
        except TimeoutError:
            log.warning("%d requests on %s are cut off", self.active.running(candidate), candidate.pair.checkpoint)

    async def _retire(self, old: Router) -> Activation:
        """The new pair serves. What still runs on the old one ends there, or is cut off when the time is over."""
        try:
            async with self._in(Phase.DRAINING):
                await self.active.drained(old)
        except ActivationFailed as error:
            log.warning("%s; %d requests on %s are cut off", error, self.active.running(old), old.pair.checkpoint)
        finally:
            self._enter(Phase.RETIRING)
            await self._fault_of(self._strategy.retire(old))
            self._metrics.ended("active", self.phase)
            self._enter(Phase.IDLE)
        self.activation = replace(self._current, outcome="active")
        return self.activation

    async def _fault_of(self, work: Awaitable[None]) -> str:
        """What went wrong, for an activation must come to its end: an engine that was killed fails as it likes."""
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
        self._enter(phase)
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
            seconds = {**self._current.seconds, phase: round(time.monotonic() - started, 3)}
            self.activation = replace(self._current, seconds=seconds)

    def _enter(self, phase: Phase) -> None:
        self.phase = followed(self.phase, phase)
        self._metrics.entered(phase)
        log.info("activation: %s", phase)

    @property
    def _current(self) -> Activation:
        if self.activation is None:
            raise ValueError("no activation has begun")
        return self.activation
