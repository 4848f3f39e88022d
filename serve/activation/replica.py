"""One service among those that share its registry: activations and trials, one replica loading at a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from serve.activation.activation import Activation, ActivationRequest, Activator
from serve.activation.phases import Phase
from serve.registry.lease import Lease
from serve.registry.state import RegistryState
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.telemetry.trial_metrics import TrialMetrics
from serve.trials.evidence import write_evidence
from serve.trials.policy import DEFAULT_RULES, TrialRules
from serve.trials.trial import Trial, TrialEnding, TrialRequest
from taxonomy.errors import ActivationRefused
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)


class Replica:
    """What an admin, or the registry, has this service do with checkpoints. trial: the one under way."""

    def __init__(
        self, activator: Activator, lease: Lease, metrics: TrialMetrics, rules: TrialRules = DEFAULT_RULES
    ) -> None:
        self.trial: Trial | None = None
        self._activator = activator
        self._lease = lease
        self._metrics = metrics
        self._rules = rules

    @property
    def name(self) -> str:
        """As the lease and the evidence name this replica."""
        return self._lease.holder

    @property
    def serving(self) -> Pair:
        """The pair that answers here."""
        return self._activator.serving

    @property
    def phase(self) -> Phase:
        """Of the activation under way."""
        return self._activator.phase

    @property
    def activation(self) -> Activation | None:
        """The one under way, or the last."""
        return self._activator.activation

    @property
    def is_idle(self) -> bool:
        """Whether no activation is under way."""
        return self._activator.is_idle

    async def registry_state(self) -> RegistryState:
        """The registry as it is now. Raises RegistryFailed."""
        return await asyncio.to_thread(self._activator.registry.read)

    async def lease_holder(self) -> str | None:
        """The replica that loads a checkpoint now. Raises RegistryFailed."""
        return await asyncio.to_thread(self._lease.look)

    def note_registry(self, active: CheckpointId | None) -> None:
        """What is active there, as it was just read."""
        self._activator.note_registry(active)

    @property
    def is_skewed(self) -> bool:
        """Whether the registry, as it was read last, says that another checkpoint should serve here."""
        return self._activator.is_skewed

    async def activate(self, request: ActivationRequest, checked: asyncio.Event | None = None) -> Activation:
        """As `Activator.activate`, while no other replica loads. Raises LeaseHeld too."""
        self._activator.check_idle()
        async with self._lease.held():
            return await self._activator.activate(request, checked)

    async def follow(self, active: CheckpointId) -> Activation:
        """Activate what the registry says is active. Raises as `activate` does."""
        return await self.activate(ActivationRequest(active, f"follower at {self.name}", follows=True))

    async def try_out(self, request: TrialRequest, checked: asyncio.Event | None = None) -> Activation:
        """Activate with a trial before the shift. Raises as `activate` does, and TrialEnded."""
        self._activator.check_idle()
        if self._activator.pauses:
            raise ActivationRefused("a trial takes two engines beside each other; activation: in_place has one")
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._lease.held())
            trial = Trial(self._activator.active, request, self._rules, self._write_evidence, self._metrics)

            async def run(candidate: Router) -> None:
                await turn.aclose()  # it has loaded; others may, however long the trial takes
                await trial.run(candidate)

            self.trial = trial
            activation = ActivationRequest(request.candidate, request.by, request.without_gate)
            try:
                return await self._activator.activate(activation, checked, run)
            finally:
                self.trial = None

    def trial_of(self, checkpoint: CheckpointId) -> Trial:
        """The trial under way of a checkpoint. Raises ActivationRefused where there is none."""
        if self.trial is None or self.trial.candidate != checkpoint:
            raise ActivationRefused(f"{checkpoint} is not on trial at {self.name}; `canary` or `shadow` begins one")
        return self.trial

    def promote(self, checkpoint: CheckpointId, by: str) -> None:
        """Raises ActivationRefused where it is not on trial, or only being loaded for it."""
        trial = self.trial_of(checkpoint)
        if self.phase is not Phase.TRYING:
            raise ActivationRefused(f"{checkpoint} is not tried yet ({self.phase})")
        trial.end(TrialEnding("promoted", by, "asked for"))

    def stop(self, checkpoint: CheckpointId, by: str) -> None:
        """Raises ActivationRefused where it is not on trial."""
        self.trial_of(checkpoint).end(TrialEnding("stopped", by, "asked for"))

    async def _write_evidence(self, trial: Trial, ending: TrialEnding) -> None:
        await asyncio.to_thread(write_evidence, self._activator.registry, trial.evidence(ending, self.name))
