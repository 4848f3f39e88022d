"""Which router takes new requests, and which requests still run on the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serve.router import Router


class Active:
    """Holds the active router. A request borrows it and keeps it to its end, whatever becomes active meanwhile."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.metrics = router.metrics
        self.metrics.serving(router.pair, router.admission)
        self._running: dict[Router, int] = {}
        self._ended = asyncio.Event()

    @contextmanager
    def borrowed(self) -> Iterator[Router]:
        """The active router, for one request: one pair answers it whole."""
        router = self.router
        self._running[router] = self._running.get(router, 0) + 1
        try:
            yield router
        finally:
            self._running[router] -= 1
            if not self._running[router]:
                del self._running[router]
                self._ended.set()

    def running(self, router: Router) -> int:
        """How many requests a router still answers."""
        return self._running.get(router, 0)

    async def drained(self, router: Router) -> None:
        """Returns when the last request on a router that is no longer active has its answer."""
        while self.running(router):
            self._ended.clear()
            await self._ended.wait()

    def shift(self, router: Router) -> Router:
        """New requests go to this router from now on; gives the one before."""
        before, self.router = self.router, router
        self.metrics.serving(router.pair, router.admission)
        return before
