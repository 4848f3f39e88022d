"""The HTTP face: the routes and the probes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http import problems
from serve.http.routes.checkpoints import Admin
from serve.http.routes.checkpoints import install as install_admin
from serve.http.schemas import Problem, RouteRequest, RouteResponse, response_of, taxonomy_json
from serve.routing.active import Active
from serve.telemetry import logs
from serve.telemetry.outcomes import exposed, watched
from taxonomy.errors import ClientGone, CommentTooLong, EngineFailed, NotReady, RequestInvalid

T = TypeVar("T")
DEAD: Final = "the engine has died; the service has to be started again"
NOBODY: Final = Admin(replica=None, key=None)
BODY_FACTOR: Final = 16
"""Bytes of body for each allowed character: JSON may escape one in 12, and the other fields need room."""
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": text, "content": {problems.MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    for status, text in {
        400: "The body is not UTF-8.",
        413: "The comment is over the limit, which the text states.",
        422: "A field is at fault; `errors` names it.",
        429: "This key has more comments waiting than its share; `Retry-After` says when to try again.",
        503: "Try again after `Retry-After`: the service is starting, stopping or full, or its engine failed.",
        504: "The deadline of the request has passed.",
    }.items()
}


def create_app(active: Active, admin: Admin = NOBODY) -> FastAPI:
    """The app over a started router, or what takes its place; it closes the engine when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.active = active
        try:
            async with admin.at_work():
                try:
                    yield
                finally:
                    app.state.active = None
        finally:
            await active.router.close()

    app = FastAPI(
        title="route-feedback",
        summary="A customer comment in, routed segments out.",
        version="1",
        lifespan=lifespan,
        openapi_tags=[{"name": "route"}, {"name": "checkpoints"}, {"name": "probes"}],
    )
    app.state.active = None
    app.add_middleware(_Named)
    problems.install(app)
    app.post(
        "/v1/route",
        response_model=RouteResponse,
        responses=_PROBLEMS,
        tags=["route"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": RouteRequest.model_json_schema()}},
            }
        },
    )(watched(route, active.metrics))
    app.get("/v1/taxonomy", tags=["route"], responses={503: _PROBLEMS[503]})(get_taxonomy)
    app.get("/metrics", tags=["probes"], response_class=PlainTextResponse)(exposed(active.metrics))
    app.get("/livez", tags=["probes"], response_class=PlainTextResponse, responses={503: _PROBLEMS[503]})(livez)
    install_admin(app, admin)
    app.get("/readyz", tags=["probes"], response_class=PlainTextResponse, responses={503: _PROBLEMS[503]})(readyz)
    return app


class _Named:
    """Every request has an id, every answer carries it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        await self._app(scope, receive, named)


async def route(request: Request) -> Response:
    """Cut one comment into segments; give each a path in the taxonomy, an emotion, probabilities and a team."""
    active = _active(request)
    asked = await _asked(request, active.router.max_comment)
    seconds = asked.deadline_ms / 1000 if asked.deadline_ms else None
    key = request.headers.get("authorization", "")
    # The same id goes to the same pair while a candidate is on trial; without one the same comment does.
    name = asked.id or asked.comment
    seconds = await active.passed(seconds)
    # Borrowed after the body has come: a slow sender holds up no swap.
    with active.borrowed(name) as router:
        answer = await _unless_gone(request, router.route(asked.comment, key, seconds))
        active.answered(router, name, asked.comment, answer)
        response = response_of(answer, router.pair, asked.id or request.state.request_id, dict(asked.metadata))
    # Given the model, FastAPI would check and copy it once more, which takes longer than all else here.
    return Response(response.model_dump_json(exclude_none=True), media_type="application/json")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; cancels the work at once where the client hangs up."""
    working = asyncio.ensure_future(work)
    # The body has been read whole: the next message can only say that the client is gone.
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone("the client hung up")
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _asked(request: Request, max_comment: int) -> RouteRequest:
    """The body, parsed once: bounded, UTF-8, JSON, the fields we know."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_comment * BODY_FACTOR:
            limits = f"{max_comment} characters, the whole body {max_comment * BODY_FACTOR} bytes"
            raise CommentTooLong(f"comment is too long: it may have {limits}")
    try:
        return RouteRequest.model_validate(json.loads(body.decode()))
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at character {error.pos}"
        raise RequestValidationError([{"loc": ("body",), "msg": message}]) from error
    except RecursionError as error:
        raise RequestValidationError([{"loc": ("body",), "msg": "nested too deeply"}]) from error
    except ValidationError as error:
        raise RequestValidationError([f | {"loc": ("body", *f["loc"])} for f in error.errors()]) from error


async def get_taxonomy(request: Request) -> JSONResponse:
    """The active taxonomy: its version, its depth and every leaf with its team and workflow."""
    return JSONResponse(taxonomy_json(_active(request).router.pair.taxonomy))


async def livez(request: Request) -> str:
    """The process runs, and its engine with it: what is not alive has to be started again."""
    active: Active | None = request.app.state.active
    if active and not active.router.is_alive:
        raise EngineFailed(DEAD)
    return "ok"


async def readyz(request: Request) -> str:
    """The service takes traffic."""
    _active(request)
    return "ok"


def _active(request: Request) -> Active:
    active: Active | None = request.app.state.active
    if active is None:
        raise NotReady("the service is starting or stopping")
    if not active.router.is_alive:
        raise NotReady(DEAD)
    return active
