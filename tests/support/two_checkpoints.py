"""A registry with two versions that have passed and a swap between them, on engines without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from serve.activation.activation import Activator
from serve.activation.phases import LIMITS_S, Phase
from serve.activation.replica import Replica
from serve.activation.strategy import BlueGreen, InPlace
from serve.engine.protocol import Choose, Decoded, ScriptedEngine, Task
from serve.registry.lease import Lease
from serve.registry.registry import Registry
from serve.routing.active import Active
from serve.routing.pair import Pair, pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.trials.policy import USUAL, Rules
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import WEIGHTS, choosing, proven, unpublished

COMMENT = "It came late. The app crashes, and nobody answers!"


async def until(seen: Callable[[], bool]) -> None:
    """Returns when it is so; what is polled is what an operator sees."""
    while not seen():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class Engine(ScriptedEngine):
    """Decides by its weights; counts what it decodes, can be held up, and knows whether it was closed."""

    def __init__(self, pair: Pair, choose: Choose | None = None) -> None:
        super().__init__(pair.automaton, choose or choosing(Path(pair.model) / WEIGHTS))
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.decoded, self.closed = 0, False
        self.reloads: list[CheckpointId] = []

    async def decode(self, task: Task) -> Decoded:
        if self.closed:
            raise EngineFailed("the engine is closed")
        await asyncio.sleep(0)
        await self.go_on.wait()
        self.decoded += 1
        return await super().decode(task)

    async def reload(self, pair: Pair) -> None:
        self.reloads.append(pair.checkpoint)
        self._choose = choosing(Path(pair.model) / WEIGHTS)

    async def close(self) -> None:
        self.closed, self.is_alive = True, False


class House:
    """A registry with two versions that have passed, the first of them serving."""

    def __init__(self, registry: Registry, settings: Settings, one: CheckpointId, two: CheckpointId) -> None:
        self.registry, self.settings, self.one, self.two = registry, settings, one, two
        self.engines: dict[CheckpointId, Engine] = {}
        self.routers: dict[CheckpointId, Router] = {}
        self.phases: list[Phase] = []
        pair = pair_of(str(registry.folder(one)), bundled_taxonomy(), settings.cache)
        self.active = Active(self.router(pair))
        self.swap = self.swapping(self.load)

    def router(self, pair: Pair, choose: Choose | None = None) -> Router:
        self.engines[pair.checkpoint] = Engine(pair, choose)
        metrics = self.active.metrics if self.routers else None
        self.routers[pair.checkpoint] = Router(pair, self.engines[pair.checkpoint], self.settings, 32_768, metrics)
        return self.routers[pair.checkpoint]

    def swapping(self, load: Callable[[Pair], Awaitable[Router]] | None, **limits_s: float) -> Activator:
        """In place where nothing loads a second engine."""
        phases = self.phases

        class Traced(Activator):
            def _go(self, phase: Phase) -> None:
                super()._go(phase)
                phases.append(phase)

        limits = {**LIMITS_S, **{Phase(name): seconds for name, seconds in limits_s.items()}}
        strategy = BlueGreen(load) if load else InPlace(self.active, self.registry)
        return Traced(self.active, self.registry, strategy, self.settings.cache, limits)

    def replica(self, swap: Activator | None = None, rules: Rules = USUAL) -> Replica:
        """The house among those that share its registry."""
        return Replica(swap or self.swap, Lease(self.registry, "one/1"), rules)

    async def load(self, pair: Pair) -> Router:
        return self.router(pair)

    async def ask(self) -> tuple[CheckpointId, object]:
        await self.active.passed()
        with self.active.borrowed() as router:
            return router.pair.checkpoint, await router.route(COMMENT)

    def serves_the_old_pair_and_says(self, reason: str) -> None:
        """What every failure comes to."""
        assert self.active.router.pair.checkpoint == self.one
        assert not self.engines[self.one].closed
        assert asyncio.run(self.ask())[0] == self.one
        assert self.swap.phase is Phase.IDLE
        assert self.swap.report
        assert (self.swap.report.outcome, reason in self.swap.report.reason) == ("failed", True), self.swap.report
        assert self.phases[-2:] == [Phase.RETURNING, Phase.IDLE]


def two_versions(folder: Path, settings: Settings) -> list[CheckpointId]:
    """A registry in a folder, with two versions that have passed; the first is active."""
    registry = Registry(folder / "registry")
    names = [asyncio.run(proven(unpublished(folder / str(n), n), settings)).version for n in (1, 2)]
    for name in ("1", "2"):
        registry.add(folder / name, bundled_taxonomy(), "test")
    registry.activate(names[0], None, "test")
    return names
