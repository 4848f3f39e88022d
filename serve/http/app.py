"""The HTTP face: the routes, and what they have in common."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from serve.http import problems
from serve.http.admin import Admin
from serve.http.openapi import DocumentedApi
from serve.http.routes import checkpoints, probes, route, taxonomy, trials
from serve.http.service import Service
from serve.routing.active import Active
from serve.telemetry.metrics import Metrics
from serve.telemetry.outcomes import EXPECTED

NOBODY: Final = Admin(replica=None, key=None)


def create_app(active: Active, metrics: Metrics, admin: Admin = NOBODY) -> FastAPI:
    """The app over a started router, or what takes its place; it closes the engine when it ends."""
    service = Service(active, metrics, admin)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with admin.at_work():
                service.is_open = True
                try:
                    yield
                finally:
                    service.is_open = False
        finally:
            await active.router.close()

    app = DocumentedApi(
        title="route-feedback",
        summary="A customer comment in, routed segments out.",
        version="1",
        lifespan=lifespan,
        openapi_tags=[{"name": "route"}, {"name": "checkpoints"}, {"name": "trials"}, {"name": "probes"}],
    )
    app.state.service = service
    app.add_middleware(RequestIds)
    problems.install(app)
    for topic in (route, taxonomy, checkpoints, trials, probes):
        app.include_router(topic.router)
    for outcome in EXPECTED:  # each stands at 0 from the start
        metrics.requests.labels(*outcome)
    return app


class RequestIds:
    """Every request has an id: its answer carries it, and so does every line that is logged meanwhile."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        # Not taken back: the handler of unexpected errors, which logs, stands outside. The server gives each request a
        # context of its own.
        bind_contextvars(request_id=request_id)
        await self._app(scope, receive, send_with_id)
