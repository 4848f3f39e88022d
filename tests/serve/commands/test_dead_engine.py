"""A service whose engine has died says so, and does not outlive it."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from fastapi.testclient import TestClient

from serve.commands.serve import _listening, _Server
from serve.engine.protocol import ScriptedEngine
from serve.http.app import DEAD, create_app
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings, load_settings


@pytest.fixture
def engine(pair: Pair) -> ScriptedEngine:
    return ScriptedEngine(pair.automaton, lambda allowed: (allowed[0], -0.1))


@pytest.fixture
def router(pair: Pair, engine: ScriptedEngine, settings: Settings) -> Router:
    return Router(pair, engine, settings, context=32_768)


def test_probes_and_answers_say_that_the_engine_has_died(router: Router, engine: ScriptedEngine) -> None:
    with TestClient(create_app(Active(router))) as client:
        assert [client.get(probe).status_code for probe in ("/livez", "/readyz")] == [200, 200]
        engine.is_alive = False
        for answer in (client.get("/livez"), client.get("/readyz"), client.post("/v1/route", json={"comment": "ok"})):
            assert answer.status_code == 503
            assert answer.json()["detail"] == DEAD


def test_the_server_ends_with_its_engine(router: Router, engine: ScriptedEngine) -> None:
    async def serve_until_it_dies() -> bool:
        with _listening(load_settings({}, host="127.0.0.1", port=0)) as listening:
            active = Active(router)
            server = _Server(uvicorn.Config(create_app(active), log_level="warning"), "ready", active)
            asyncio.get_running_loop().call_later(0.3, setattr, engine, "is_alive", False)  # noqa: FBT003
            await asyncio.wait_for(server.serve(sockets=[listening]), 30)
        return server.has_lost_engine

    assert asyncio.run(serve_until_it_dies())
