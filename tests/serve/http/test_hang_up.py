"""A client that goes away, or a deadline that passes, frees what the comment held."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from serve.engine.protocol import Decoded, SingleModel, Task
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of
from serve.telemetry.metrics import Metrics
from tests.support.apps import app_on


class Endless(SingleModel):
    """An engine that never answers, and knows how it ended."""

    is_alive = True
    kind = "scripted/float32"

    def __init__(self) -> None:
        self.started, self.cancelled = asyncio.Event(), asyncio.Event()

    async def decode(self, task: Task) -> Decoded:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError(task)

    async def close(self) -> None:
        """Nothing is held."""


async def post(pair: Pair, body: dict[str, Any], *, hang_up: bool) -> tuple[Endless, Router, list[dict[str, Any]]]:
    """One request straight to the app; the client hangs up once the engine has started, or waits."""
    engine = Endless()
    router = Router(pair, engine, limits_of(load_settings({}, max_num_seqs=1)), context=32_768)
    app = app_on(router)
    messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await engine.started.wait()
        if not hang_up:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/route", "headers": [], "query_string": b"", "state": {}}
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(app(scope, receive, send), 10)
    return engine, router, sent


async def test_a_client_that_hangs_up_frees_the_engine_and_the_turn(pair: Pair) -> None:
    engine, router, _ = await post(pair, {"comment": "late"}, hang_up=True)
    assert engine.cancelled.is_set()
    assert (router.admission._free, router.admission.waiting) == (1, 0)


async def test_a_deadline_that_passes_frees_them_too(pair: Pair) -> None:
    engine, router, sent = await post(pair, {"comment": "late", "deadline_ms": 30}, hang_up=False)
    assert engine.cancelled.is_set()
    assert router.admission._free == 1
    assert sent[0]["status"] == 504
    assert b"30 ms have passed" in sent[1]["body"]


async def test_a_client_that_hangs_up_while_it_sends_is_no_error_of_the_service(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics(CollectorRegistry())
    router = Router(pair, Endless(), limits_of(load_settings({})), 32_768, metrics)
    app = app_on(router, metrics)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"comm', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/route", "headers": [], "query_string": b"", "state": {}}
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(app(scope, receive, send), 10)
    assert sent[0]["status"] == 499
    labels = {"outcome": "client_gone", "status": "499"}
    assert metrics.registry.get_sample_value("route_feedback_requests_total", labels) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
