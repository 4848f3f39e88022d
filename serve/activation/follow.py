"""A replica that serves what the registry says: it looks there every few seconds, and follows."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

from serve.activation.phases import Phase
from serve.activation.replica import Replica
from serve.telemetry.activation_metrics import ActivationMetrics
from serve.trials.trial import TrialEnding
from taxonomy.errors import LeaseHeld, RegistryFailed, RouteFeedbackError
from taxonomy.labels import CheckpointId

log = logging.getLogger(__name__)
LONGEST_WAIT_S: Final = 600.0


class Follower:
    """Watches the registry for one replica. A checkpoint that fails is tried again, each time after twice the wait."""

    def __init__(
        self,
        replica: Replica,
        metrics: ActivationMetrics,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every_s`: seconds between two looks, on average: each wait is drawn; replicas should not look at once."""
        self._replica = replica
        self._every_s = every_s
        self._clock = clock
        self._metrics = metrics
        self._failing: CheckpointId | None = None
        self._wait_s = self._not_before = 0.0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._every_s * random.uniform(0.5, 1.5))
            await self.look()

    async def look(self) -> None:
        """Once: read what is active, and activate it here where it is another. Says what fails in the log."""
        serving = self._replica.serving
        try:
            active = (await self._replica.registry_state()).active
            await self._replica.lease_holder()  # looking now and then is how a holder's death is seen
        except RegistryFailed as error:
            self._metrics.registry_read("failed")
            log.warning("what is active cannot be read; this replica serves on: %s", error)
            return
        self._metrics.registry_read("read")
        if self._replica.phase is Phase.SHIFTING or self._replica.serving is not serving:
            return  # it may have been read before this replica's own shift was written
        self._replica.note_registry(active)
        if active and self._replica.is_skewed:
            await self._follow(active)

    async def _follow(self, active: CheckpointId) -> None:
        trial = self._replica.trial
        if trial and not trial.is_ending:
            trial.end(TrialEnding("stopped", "follower", f"{active} became active meanwhile"))
        if not self._replica.is_idle or self._has_to_wait(active):
            return
        try:
            await self._replica.follow(active)
        except LeaseHeld as error:
            log.info("%s is followed later: %s", active, error)
        except RouteFeedbackError as error:
            self._failed(active, str(error))
        except Exception:
            log.exception("following %s failed", active)
            self._failed(active, "an unexpected error")
        else:
            self._failing = None

    def _has_to_wait(self, active: CheckpointId) -> bool:
        return active == self._failing and self._clock() < self._not_before

    def _failed(self, active: CheckpointId, reason: str) -> None:
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S) if active == self._failing else 2 * self._every_s
        self._failing, self._not_before = active, self._clock() + self._wait_s
        log.error("%s cannot be followed: %s; tried again in %.0f s", active, reason, self._wait_s)
