"""What an admin may have this service do with checkpoints, and what does so by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from serve.activation.activation import Activation
from serve.activation.follow import Follower
from serve.activation.replica import Replica
from taxonomy.errors import RouteFeedbackError


@dataclass(frozen=True)
class Admin:
    """key: the admin's; without one nobody may. `under_way` keeps activations from being forgotten while they run."""

    replica: Replica | None
    key: SecretStr | None
    follower: Follower | None = None
    under_way: set[asyncio.Task[Activation]] = field(default_factory=set)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Follow the registry meanwhile. At the end what is under way is broken off; its engine is closed."""
        following = asyncio.create_task(self.follower.run()) if self.follower else None
        try:
            yield
        finally:
            tasks = [*self.under_way, *([following] if following else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, activation: Coroutine[Any, Any, Activation], checked: asyncio.Event) -> None:
        """Returns when nothing speaks against the activation, which then goes on; raises what speaks against it."""
        task = asyncio.create_task(activation)
        self.under_way.add(task)
        task.add_done_callback(self._ended)
        waiting = asyncio.create_task(checked.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done() and not checked.is_set():
            task.result()

    def _ended(self, task: asyncio.Task[Activation]) -> None:
        self.under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, RouteFeedbackError):
            raise error  # a bug: the event loop's log has it, with its trace
