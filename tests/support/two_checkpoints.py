"""A registry with two checkpoints that have passed and an activator between them, on engines without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from serve.activation.activation import Activator
from serve.activation.phases import LIMITS_S, Phase
from serve.activation.replica import Replica
from serve.activation.strategy import BlueGreen, InPlace
from serve.engine.model import Model
from serve.engine.protocol import Choose, Decoded, ScriptedEngine, Task
from serve.registry.lease import Lease
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.active import Active
from serve.routing.answer import Answer
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of, metrics_on
from serve.trials.policy import DEFAULT_RULES, TrialRules
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import WEIGHTS, choosing, proven, unpublished

COMMENT = "It came late. The app crashes, and nobody answers!"


async def until(seen: Callable[[], bool]) -> None:
    """Returns when it is so; what is polled is what an operator sees."""
    while not seen():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class WeighedEngine(ScriptedEngine):
    """Decides by its weights; counts what it decodes, can be held up, and knows whether it was closed."""

    def __init__(self, model: Model, choose: Choose | None = None) -> None:
        super().__init__(model.automaton, choose or choosing(Path(model.path) / WEIGHTS))
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

    async def reload(self, model: Model) -> None:
        self.reloads.append(model.checkpoint)
        self._choose = choosing(Path(model.path) / WEIGHTS)

    async def close(self) -> None:
        self.closed, self.is_alive = True, False


class TwoCheckpoints:
    """A registry with two checkpoints that have passed, the first of them serving."""

    def __init__(self, registry: Registry, settings: Settings, first: CheckpointId, second: CheckpointId) -> None:
        self.registry, self.settings, self.first, self.second = registry, settings, first, second
        self.metrics = metrics_on(CollectorRegistry())
        self.engines: dict[CheckpointId, WeighedEngine] = {}
        self.routers: dict[CheckpointId, Router] = {}
        self.phases: list[Phase] = []
        pair = pair_of(str(registry.folder(first)), bundled_taxonomy(), settings.cache)
        self.active = Active(self.router(pair), self.metrics.answers)
        self.activator = self.activator_on(self.load)

    def router(self, pair: Pair, choose: Choose | None = None) -> Router:
        engine = self.engines[pair.checkpoint] = WeighedEngine(pair.model, choose)
        router = Router(pair, engine, limits_of(self.settings), 32_768, self.metrics.answers)
        self.routers[pair.checkpoint] = router
        return router

    def activator_on(self, load: Callable[[Pair], Awaitable[Router]] | None, **limits_s: float) -> Activator:
        """In place where nothing loads a second engine."""
        phases = self.phases

        class Traced(Activator):
            def _enter(self, phase: Phase) -> None:
                super()._enter(phase)
                phases.append(phase)

        limits = {**LIMITS_S, **{Phase(name): seconds for name, seconds in limits_s.items()}}
        strategy = BlueGreen(load) if load else InPlace(self.active, self.registry)
        cache, metrics = self.settings.cache, self.metrics.activations
        return Traced(self.active, self.registry, strategy, cache, metrics, limits_s=limits)

    def replica(self, activator: Activator | None = None, rules: TrialRules = DEFAULT_RULES) -> Replica:
        """As one of those that share its registry."""
        return Replica(activator or self.activator, self.lease, self.metrics.trials, rules)

    @property
    def lease(self) -> Lease:
        return Lease(self.registry, "one/1")

    async def load(self, pair: Pair) -> Router:
        return self.router(pair)

    async def ask(self) -> tuple[CheckpointId, Answer]:
        await self.active.passed()
        with self.active.borrowed() as router:
            return router.pair.checkpoint, await router.route(COMMENT)

    async def serves_the_old_pair_and_says(self, reason: str) -> None:
        """What every failure comes to."""
        assert self.activator.serving.checkpoint == self.first
        assert not self.engines[self.first].closed
        assert (await self.ask())[0] == self.first
        assert self.activator.is_idle
        last = self.activator.activation
        assert last
        assert (last.outcome, reason in last.reason) == ("failed", True), last
        assert self.phases[-2:] == [Phase.RETURNING, Phase.IDLE]


def two_checkpoints(folder: Path, settings: Settings) -> list[CheckpointId]:
    """A registry in a folder, with two checkpoints that have passed; the first is active."""
    registry = Registry(Directory(folder / "registry"))
    names = [asyncio.run(proven(unpublished(folder / str(n), n), settings)).version for n in (1, 2)]
    for name in ("1", "2"):
        registry.add(folder / name, bundled_taxonomy(), "test")
    registry.activate(names[0], None, "test")
    return names
