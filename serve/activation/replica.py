"""One service among those that share its registry: activations and trials, one replica loading at a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from serve.activation.activation import ActivationRequest, Activator, Report
from serve.activation.phases import Phase
from serve.registry.lease import Lease
from serve.routing.router import Router
from serve.trials.evidence import keep
from serve.trials.policy import USUAL, Rules
from serve.trials.trial import Plan, Trial, Word
from taxonomy.errors import ActivationRefused
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)


class Replica:
    """What an admin, or the registry, has this service do with checkpoints. trial: the one under way."""

    def __init__(self, swap: Activator, lease: Lease, rules: Rules = USUAL) -> None:
        self.swap = swap
        self.lease = lease
        self.trial: Trial | None = None
        self._rules = rules

    @property
    def name(self) -> str:
        """As the lease and the evidence name this replica."""
        return self.lease.holder

    async def activate(self, wish: ActivationRequest, checked: asyncio.Event | None = None) -> Report:
        """As `Activator.activate`, while no other replica loads. Raises LeaseHeld too."""
        self.swap.check_idle()
        async with self.lease.held():
            return await self.swap.activate(wish, checked)

    async def try_out(self, wish: ActivationRequest, plan: Plan, checked: asyncio.Event | None = None) -> Report:
        """Activate with a trial before the shift. Raises as `activate` does, and TrialEnded."""
        self.swap.check_idle()
        if self.swap.pauses:
            raise ActivationRefused("a trial takes two engines beside each other; swap: in_place has one")
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self.lease.held())
            trial = Trial(self.swap.active, wish, plan, self._rules, self._keep)

            async def tried(candidate: Router) -> None:
                await turn.aclose()  # it has loaded; others may, however long the trial takes
                await trial(candidate)

            self.trial = trial
            try:
                return await self.swap.activate(wish, checked, tried)
            finally:
                self.trial = None

    def trial_of(self, checkpoint: CheckpointId) -> Trial:
        """The trial under way of a version. Raises ActivationRefused where there is none."""
        if self.trial is None or self.trial.wish.checkpoint != checkpoint:
            raise ActivationRefused(f"{checkpoint} is not on trial at {self.name}; `canary` or `shadow` begins one")
        return self.trial

    def promote(self, checkpoint: CheckpointId, by: str) -> None:
        """Raises ActivationRefused where it is not on trial, or only being loaded for it."""
        trial = self.trial_of(checkpoint)
        if self.swap.phase is not Phase.TRYING:
            raise ActivationRefused(f"{checkpoint} is not tried yet ({self.swap.phase})")
        trial.end(Word("promoted", by, "asked for"))

    def stop(self, checkpoint: CheckpointId, by: str) -> None:
        """Raises ActivationRefused where it is not on trial."""
        self.trial_of(checkpoint).end(Word("stopped", by, "asked for"))

    async def _keep(self, trial: Trial, word: Word) -> None:
        await asyncio.to_thread(keep, self.swap.registry, trial.evidence(word, self.name))
