"""Which router takes new requests, and which requests still run on the one before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from serve.routing.answer import Answer
from serve.routing.observer import UNOBSERVED, Observer
from serve.routing.router import Router
from taxonomy.errors import DeadlinePassed, Overloaded


class Split(Protocol):
    """What a candidate gets of the traffic, and what is seen of it."""

    def candidate_for(self, name: str) -> Router | None:
        """The candidate's router, where the request of this name is to go there."""
        ...

    def answered(self, router: Router, name: str, comment: str, answer: Answer) -> None: ...
    def failed(self, router: Router, error: Exception) -> None: ...


class Active:
    """Holds the active router. A request borrows it and keeps it to its end, whatever becomes active meanwhile.

    split: while a candidate is on trial, it may take a request instead.
    """

    def __init__(self, router: Router, observer: Observer = UNOBSERVED) -> None:
        self.router = router
        self._observer = observer
        self._observer.serving(router.pair, router.admission)
        self.split: Split | None = None
        self._running: dict[Router, int] = {}
        self._ended = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._held_up = 0

    async def passed(self, seconds: float | None = None) -> float | None:
        """Returns when no pause holds up new requests, with what is left of the seconds.

        Raises DeadlinePassed, or Overloaded where too many wait already.
        """
        if self._open.is_set():
            return seconds
        if self._held_up >= self.router.admission.limit:
            raise Overloaded(f"weights are being loaded, and {self._held_up} comments wait for that", retry_after=1)
        began = time.monotonic()
        self._held_up += 1
        try:
            async with asyncio.timeout(seconds):
                await self._open.wait()
        except TimeoutError:
            raise DeadlinePassed(f"deadline_ms: {round((seconds or 0) * 1000)} ms have passed") from None
        finally:
            self._held_up -= 1
        return seconds and max(seconds - (time.monotonic() - began), 0.001)

    async def paused(self) -> None:
        """New requests wait, until `resume` or `shift`; returns when those under way have their answers."""
        self._open.clear()
        await self.drained(self.router)

    def resume(self) -> None:
        """What waits goes on, on the pair that is active."""
        self._open.set()

    @contextmanager
    def borrowed(self, name: str = "") -> Iterator[Router]:
        """The router for one request: one pair answers it whole. Without a name it is always the active one."""
        split = self.split if name else None
        router = (split and split.candidate_for(name)) or self.router
        self._running[router] = self._running.get(router, 0) + 1
        try:
            yield router
        except Exception as error:
            if split:
                split.failed(router, error)
            raise
        finally:
            self._running[router] -= 1
            if not self._running[router]:
                del self._running[router]
                self._ended.set()

    def answered(self, router: Router, name: str, comment: str, answer: Answer) -> None:
        """A request that went by this name has its answer."""
        if self.split:
            self.split.answered(router, name, comment, answer)

    def running(self, router: Router) -> int:
        """How many requests a router still answers."""
        return self._running.get(router, 0)

    async def drained(self, router: Router) -> None:
        """Returns when the last request on a router that takes no new ones has its answer."""
        while self.running(router):
            self._ended.clear()
            await self._ended.wait()

    def shift(self, router: Router) -> Router:
        """New requests go to this router from now on; gives the one before."""
        before, self.router = self.router, router
        self._observer.serving(router.pair, router.admission)
        self.resume()
        return before
