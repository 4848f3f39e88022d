"""What tests share: one real service on the bundled checkpoint, and the same app on a scripted engine."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import hypothesis
import pytest
import uvicorn
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from serve.engine.protocol import Engine, ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings, load_settings
from serve.start import limits_of, load_pair, start_router
from serve.telemetry.metrics import Metrics
from tests.support.apps import app_on
from tests.support.scheduling import ENGINES, rank_of, scope_of

T = TypeVar("T")
START_S = 300
# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Only a run in parallel needs pytest-xdist."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415

    class ByScope(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped to us
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid.partition("::")[0])

    return ByScope(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if ENGINES.intersection(getattr(item, "fixturenames", ())) and scope_of(file_of(item)) != "engines":
            raise pytest.UsageError(f"{file_of(item)} uses an engine, which tests/support/scheduling.py does not see")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank_of(file_of(item)))


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_collection_finish() -> None:
    """Trainings collect garbage, which takes a second where all that is imported is looked through each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Memory for one longest comment and small steps, so that long ones are computed in pieces and preempted."""
    narrow = {"num_gpu_blocks_override": 260, "max_num_batched_tokens": 512}
    return load_settings({}, cache=tmp_path_factory.mktemp("cache"), engine=narrow)


@pytest.fixture(scope="session")
def pair(settings: Settings) -> Pair:
    return load_pair(settings)


@pytest.fixture(scope="session")
def scripted(pair: Pair) -> ScriptedEngine:
    """Takes the first allowed token at every decision."""
    return ScriptedEngine(pair.automaton, lambda allowed: (allowed[0], -0.1))


@pytest.fixture(scope="session")
def scripted_router(pair: Pair, scripted: ScriptedEngine, settings: Settings) -> Router:
    return Router(pair, scripted, limits_of(settings), context=32_768)


@pytest.fixture(scope="session")
def client(scripted_router: Router) -> Iterator[TestClient]:
    """The app over a scripted engine, for what does not depend on a model."""
    with TestClient(app_on(scripted_router), raise_server_exceptions=False) as client:
        yield client


@dataclass
class Live:
    """A real service in a thread of its own: vLLM, the bundled checkpoint, a real socket."""

    settings: Settings
    url: str = ""
    router: Router | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def engine(self) -> Engine:
        assert self.router
        return self.router._engine

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the engine lives."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_S)


@pytest.fixture(scope="session")
def live(settings: Settings, pair: Pair) -> Iterator[Live]:
    live = Live(settings)
    ready = threading.Event()
    servers: list[uvicorn.Server] = []

    async def main() -> None:
        metrics = Metrics(CollectorRegistry())
        live.router = await start_router(settings, pair, metrics=metrics)
        app = app_on(live.router, metrics)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
        servers.append(server)
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn offers no event)
            await asyncio.sleep(0.1)
        if server.started:
            live.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        ready.set()
        await serving

    def serve() -> None:
        try:
            live.loop.run_until_complete(main())
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="live-service")
    thread.start()
    assert ready.wait(START_S), "the service did not start in time"
    assert live.url, "the service did not start; its log says why"
    yield live
    servers[0].should_exit = True
    thread.join(60)
    assert not thread.is_alive(), "the service did not stop"
