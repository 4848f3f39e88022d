"""Copies of answered requests, run on a candidate where no customer waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from serve.routing.answer import Answer
from serve.routing.router import Router
from serve.trials.figures import StageCounts

log = logging.getLogger(__name__)
AT_ONCE: Final = 4
"""Copies that may run at once; more are dropped."""
LONGEST_S: Final = 60.0


class Shadow:
    """Runs copies beside the service. It never queues: what cannot run at once is dropped, and counted."""

    def __init__(self, candidate: Router, is_busy: Callable[[], bool]) -> None:
        """`is_busy` says whether customers wait for the engine; then copies are dropped."""
        self._candidate = candidate
        self._is_busy = is_busy
        self._running: set[asyncio.Task[None]] = set()

    def copy(self, counts: StageCounts, comment: str, answer: Answer) -> None:
        """Have the candidate answer the same comment, and compare. Returns at once."""
        if len(self._running) >= AT_ONCE or self._is_busy():
            counts.dropped()
            return
        task = asyncio.create_task(self._compared(counts, comment, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _compared(self, counts: StageCounts, comment: str, answer: Answer) -> None:
        try:
            async with asyncio.timeout(LONGEST_S):
                copy = await self._candidate.aside(comment)
        except Exception as error:  # noqa: BLE001 (whatever a candidate does is counted against it, and no more)
            log.warning("the candidate failed on a copy: %s", type(error).__name__)
            counts.uncompared(error)
        else:
            counts.compared(answer, copy)

    async def settled(self) -> None:
        """Returns when no copy is running."""
        await asyncio.gather(*self._running)

    async def close(self) -> None:
        """Break off what is running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
