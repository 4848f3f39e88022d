"""Who may use the engine now: a bounded queue in front of it, fair between keys, which refuses early."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from taxonomy.errors import Overloaded, TooManyRequests

_WEIGHT: Final = 0.1
"""Of the newest answer's time in the running mean."""


class Admission:
    """At most `at_once` holders of a turn, at most `waiting` in the queue.

    Keys take turns, whatever each has waiting. Where the queue is full, the newest of the key with the most waiting
    makes room for another key's. Whoever would wait past its deadline is refused at once, before any work is done.
    """

    def __init__(self, at_once: int, waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = at_once
        self.at_once = at_once
        self.limit = waiting
        self._clock = clock
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their next turns
        self._mean_s = 0.0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def held(self) -> int:
        """Turns that are held now."""
        return self.at_once - self._free

    @property
    def wait_s(self) -> float:
        """How long a newcomer would wait, going by the answers so far."""
        return 0.0 if self._free else (self.waiting + 1) / self.at_once * self._mean_s

    @asynccontextmanager
    async def turn(self, key: str, seconds: float | None = None) -> AsyncIterator[None]:
        """Hold the engine; `seconds` are left until the deadline. Raises Overloaded or TooManyRequests."""
        if self._free:
            self._free -= 1
        else:
            await self._queued(key, seconds)
        started = self._clock()
        try:
            yield
            taken = self._clock() - started
            self._mean_s += (taken - self._mean_s) * (_WEIGHT if self._mean_s else 1)
        finally:
            self._pass_on()

    async def _queued(self, key: str, seconds: float | None) -> None:
        if seconds is not None and self.wait_s + self._mean_s > seconds:
            needed = round((self.wait_s + self._mean_s) * 1000)
            raise Overloaded(f"deadline_ms: an answer would take about {needed} ms now", self._retry_after)
        if self.waiting >= self.limit:
            self._make_room(key)
        place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()  # the turn came in the same moment
            else:
                self._leave(key, place)
            raise

    def _make_room(self, key: str) -> None:
        greediest = max(self._queues, key=lambda name: len(self._queues[name]), default=key)
        if len(self._queues.get(greediest, ())) <= len(self._queues.get(key, ())) + 1:
            raise Overloaded(f"{self.waiting} comments are waiting, which is the limit", self._retry_after)
        newest = self._queues[greediest][-1]
        self._leave(greediest, newest)
        newest.set_exception(TooManyRequests("this key has the most comments waiting", self._retry_after))

    def _leave(self, key: str, place: asyncio.Future[None]) -> None:
        self._queues[key].remove(place)
        if not self._queues[key]:
            del self._queues[key]

    def _pass_on(self) -> None:
        """Give the turn to the next key's longest waiting, who may have gone in this moment; else it is free."""
        while self._queues:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            place = queue.popleft()
            if queue:
                self._queues[key] = queue
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    @property
    def _retry_after(self) -> int:
        return max(1, math.ceil(self.wait_s))
