"""A service whose engine has died says so, and does not outlive it."""

from __future__ import annotations

import asyncio

import pytest
from fastapi.testclient import TestClient

from serve.engine.protocol import ScriptedEngine
from serve.http.server import Server, listen
from serve.http.service import DEAD
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from tests.support.apps import app_on


@pytest.fixture
def engine(pair: Pair) -> ScriptedEngine:
    return ScriptedEngine(pair.automaton, lambda allowed: (allowed[0], -0.1))


@pytest.fixture
def router(pair: Pair, engine: ScriptedEngine, settings: Settings) -> Router:
    return Router(pair, engine, limits_of(settings), context=32_768)


def test_probes_and_answers_say_that_the_engine_has_died(router: Router, engine: ScriptedEngine) -> None:
    with TestClient(app_on(router)) as client:
        assert [client.get(probe).status_code for probe in ("/livez", "/readyz")] == [200, 200]
        engine.is_alive = False
        for answer in (client.get("/livez"), client.get("/readyz"), client.post("/v1/route", json={"comment": "ok"})):
            assert answer.status_code == 503
            assert answer.json()["detail"] == DEAD


async def test_the_server_ends_with_its_engine(router: Router, engine: ScriptedEngine) -> None:
    with listen("127.0.0.1", 0) as listening:
        server = Server(app_on(router), "ready", lambda: router.is_alive)
        asyncio.get_running_loop().call_later(0.3, setattr, engine, "is_alive", False)  # noqa: FBT003
        await asyncio.wait_for(server.serve(sockets=[listening]), 30)
    assert server.has_lost_engine
