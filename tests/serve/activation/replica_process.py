"""One service as it is deployed, on an engine without a model.

Beside the registry it writes down, in `loads`, when it begins and ends to load.
"""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry

from serve.activation.activation import Activator
from serve.activation.follow import Follower
from serve.activation.proof import verify
from serve.activation.replica import Replica
from serve.activation.strategy import BlueGreen
from serve.http.admin import Admin
from serve.http.app import create_app
from serve.registry.lease import Lease
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import first_pair, metrics_on
from tests.support.checkpoints import router_on


def serve(root: Path, cache: Path, name: str, load_s: float, address: Connection) -> None:
    """Sends its address, and serves until it is ended. load_s: how long it takes to load another checkpoint."""
    asyncio.run(_serving(root, cache, name, load_s, address))


def _note(file: Path, line: str) -> None:
    with file.open("a") as log:
        log.write(f"{line}\n")


async def _serving(root: Path, cache: Path, name: str, load_s: float, address: Connection) -> None:
    settings = load_settings({}, registry=str(root), cache=cache, admin_key="a key for the tests")
    first = first_pair(settings)
    router = router_on(first.pair, settings)
    assert first.fingerprint
    await verify(router, first.fingerprint)
    metrics = metrics_on(CollectorRegistry())
    active, registry = Active(router, metrics.answers), Registry(Directory(root))

    async def load(pair: Pair) -> Router:
        _note(root.parent / "loads", f"+{name}")
        await asyncio.sleep(load_s)
        router = router_on(pair, settings)
        _note(root.parent / "loads", f"-{name}")
        return router

    activator = Activator(active, registry, BlueGreen(load), cache, metrics.activations)
    replica = Replica(activator, Lease(registry, name, seconds=10), metrics.trials)
    follower = Follower(replica, metrics.activations, every_s=0.2)
    app = create_app(active, metrics.answers, Admin(replica, settings.admin_key, follower))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    address.send(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    await serving
