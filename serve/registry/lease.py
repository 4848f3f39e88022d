"""One replica at a time: a lease in the registry, held while a checkpoint is loaded.

Each term is a record of the registry, and the newest is the one that counts. Of two replicas that start the same term
the second fails, as with a change of the journal. The holder rewrites its term every third of `seconds` with a higher
beat. No clocks of two machines are compared: who wants the lease must have seen one and the same beat for `seconds` by
its own monotonic clock before it takes a silent holder for dead. A holder that was only slow finds a newer term and
says so in the log; what it has started it ends, for what is active is decided by the journal alone, whoever holds the
lease.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from serve.registry.registry import Registry
from serve.registry.store import RecordKind
from taxonomy.errors import LeaseHeld, RegistryFailed

log = logging.getLogger(__name__)
SECONDS: Final = 30.0


class Term(BaseModel):
    """Who holds the lease. beat: goes up while the holder lives. over: it was given up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    holder: str
    beat: int = 0
    over: bool = False


class _Seen(NamedTuple):
    term: Term
    at: float


class Lease:
    """One replica's hand on the lease. Every method raises RegistryFailed where the registry is gone."""

    def __init__(
        self, registry: Registry, holder: str, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.holder = holder
        self._registry, self._store = registry, registry.store
        self._seconds = seconds
        self._clock = clock
        self._seen: _Seen | None = None
        self._own_term: Term | None = None

    def look(self) -> str | None:
        """Who holds the lease, or seems to; None where it is free. Looking now and then is how a death is seen."""
        term = self._newest()
        return term.holder if term and self._lives(term) else None

    def take(self) -> None:
        """Raises LeaseHeld with the holder's name."""
        newest = self._newest()
        if newest and self._lives(newest):
            raise self._held(newest.holder)
        term = Term(number=newest.number + 1 if newest else 1, holder=self.holder)
        with self._registry.reached():
            if not self._store.create(RecordKind.LEASES, term.number, _text(term)):
                raise self._held("another replica, which was faster")
        self._own_term = term

    def renew(self) -> bool:
        """Say that the holder lives. False where another has taken the lease."""
        return self._rewrite(over=False)

    def give_up(self) -> None:
        """Free it for the next."""
        self._rewrite(over=True)
        self._own_term = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lease meanwhile. Raises LeaseHeld."""
        await asyncio.to_thread(self.take)
        beating = asyncio.create_task(self._keep_renewing())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            try:
                await asyncio.to_thread(self.give_up)
            except RegistryFailed as error:
                log.warning("the lease is not given up, and free in %g s: %s", self._seconds, error)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            try:
                if not await asyncio.to_thread(self.renew):
                    log.error(
                        "the lease was taken by another replica: this one was not heard of for %g s", self._seconds
                    )
                    return
            except RegistryFailed as error:
                log.warning("the lease is not renewed: %s", error)

    def _lives(self, term: Term) -> bool:
        if self._seen is None or self._seen.term != term:
            self._seen = _Seen(term, self._clock())
        return not term.over and self._clock() - self._seen.at <= self._seconds

    def _rewrite(self, *, over: bool) -> bool:
        own, newest = self._own_term, self._newest()
        if own is None or newest is None or newest.number != own.number:
            return False
        self._own_term = own.model_copy(update={"beat": own.beat + 1, "over": over})
        with self._registry.reached():
            self._store.rewrite(RecordKind.LEASES, own.number, _text(self._own_term))
        return True

    def _newest(self) -> Term | None:
        with self._registry.reached():
            numbers = self._store.numbers(RecordKind.LEASES)
            return Term.model_validate_json(self._store.read(RecordKind.LEASES, numbers[-1])) if numbers else None

    def _held(self, holder: str) -> LeaseHeld:
        return LeaseHeld(f"{holder} is loading a checkpoint; one replica does so at a time")


def _text(term: Term) -> str:
    return term.model_dump_json() + "\n"
