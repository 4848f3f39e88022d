"""One replica at a time: a lease in the registry, held while a checkpoint is loaded.

    leases/00000001/lease.json    one term each; the newest is the one that counts

A term begins by the renaming of a directory, as a change of the journal does: of two replicas that begin the same term
the second fails. The holder rewrites its term every third of `seconds` with a higher beat. No clocks of two machines
are compared: who wants the lease must have seen one and the same beat for `seconds` by its own monotonic clock before
it takes a silent holder for dead. A holder that was only slow finds a newer term and says so in the log; what it has
begun it ends, for what is active is decided by the journal alone, whoever holds the lease.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from serve.registry import Registry
from taxonomy.errors import LeaseHeld, RegistryFailed
from taxonomy.files import appeared, write_text

log = logging.getLogger(__name__)
SECONDS: Final = 30.0
_NAME: Final = "lease.json"


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
        self._registry = registry
        self._seconds = seconds
        self._clock = clock
        self._seen: _Seen | None = None
        self._mine: Term | None = None

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
            if not appeared(self._place(term.number), lambda place: _write(term, place)):
                raise self._held("another replica, which was faster")
        self._mine = term

    def renew(self) -> bool:
        """Say that the holder lives. False where another has taken the lease."""
        return self._rewrite(over=False)

    def give_up(self) -> None:
        """Free it for the next."""
        self._rewrite(over=True)
        self._mine = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lease meanwhile. Raises LeaseHeld."""
        await asyncio.to_thread(self.take)
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            try:
                await asyncio.to_thread(self.give_up)
            except RegistryFailed as error:
                log.warning("the lease is not given up, and free in %g s: %s", self._seconds, error)

    async def _beat(self) -> None:
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
        mine, newest = self._mine, self._newest()
        if mine is None or newest is None or newest.number != mine.number:
            return False
        self._mine = mine.model_copy(update={"beat": mine.beat + 1, "over": over})
        with self._registry.reached():
            _write(self._mine, self._place(mine.number))
        return True

    def _newest(self) -> Term | None:
        with self._registry.reached():
            if self._folder not in self._registry.root.iterdir():
                return None
            numbers = [int(place.name) for place in self._folder.iterdir() if place.name.isdigit()]
            if not numbers:
                return None
            return Term.model_validate_json((self._place(max(numbers)) / _NAME).read_bytes())

    def _held(self, holder: str) -> LeaseHeld:
        return LeaseHeld(f"{holder} is loading a checkpoint; one replica does so at a time")

    @property
    def _folder(self) -> FilePath:
        return self._registry.root / "leases"

    def _place(self, number: int) -> FilePath:
        return self._folder / f"{number:08d}"


def _write(term: Term, place: FilePath) -> None:
    write_text(term.model_dump_json() + "\n", place / _NAME)
