"""A client that goes away, or a deadline that passes, frees what the comment held."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from serve.engine.protocol import Decoded, SinglePair, Task
from serve.http.app import create_app
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings


class Endless(SinglePair):
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
    router = Router(pair, engine, load_settings({}, max_num_seqs=1), context=32_768)
    app = create_app(Active(router))
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


def test_a_client_that_hangs_up_frees_the_engine_and_the_turn(pair: Pair) -> None:
    engine, router, _ = asyncio.run(post(pair, {"comment": "late"}, hang_up=True))
    assert engine.cancelled.is_set()
    assert (router.admission._free, router.admission.waiting) == (1, 0)


def test_a_deadline_that_passes_frees_them_too(pair: Pair) -> None:
    engine, router, sent = asyncio.run(post(pair, {"comment": "late", "deadline_ms": 30}, hang_up=False))
    assert engine.cancelled.is_set()
    assert router.admission._free == 1
    assert sent[0]["status"] == 504
    assert b"30 ms have passed" in sent[1]["body"]
