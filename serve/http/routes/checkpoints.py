"""The admin's part of HTTP: which checkpoints there are, which of them serves, and which is on trial."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr

from serve.activation.activation import ActivationRequest, Report
from serve.activation.follow import Follower
from serve.activation.replica import Replica
from serve.http.admin_schemas import Asked, AskedTrial, listed, parsed, report_json
from serve.telemetry.trial_metrics import Mode
from serve.trials.trial import Plan
from taxonomy.errors import ActivationRefused, NotAllowed, RouteFeedbackError
from taxonomy.labels import CheckpointId

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The body cannot be read."},
    403: {"description": "No admin key, the wrong one, or the service has none set."},
    404: {"description": "The registry has no such checkpoint."},
    409: {"description": "It may not be done, or something else is under way; the active checkpoint stays."},
    503: {"description": "The registry cannot be reached now."},
}


@dataclass(frozen=True)
class Admin:
    """Who may swap, and what swaps. `under_way` keeps activations from being forgotten while they run."""

    replica: Replica | None
    key: SecretStr | None
    follower: Follower | None = None
    under_way: set[asyncio.Task[Report]] = field(default_factory=set)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Follow the registry meanwhile. At the end what is under way is broken off; its engine is closed."""
        following = asyncio.create_task(self.follower.run()) if self.follower else None
        try:
            yield
        finally:
            tasks = [*self.under_way, *([following] if following else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def install(app: FastAPI, admin: Admin) -> None:
    """The routes; each asks for the admin's key."""

    async def checkpoints(request: Request) -> JSONResponse:
        """Every version with its state, what this replica serves, and the activation or trial under way or last."""
        replica = _allowed(request, admin)
        return JSONResponse(await listed(replica))

    async def activate(request: Request, checkpoint: str) -> JSONResponse:
        """Load a version beside the active one, verify it, shift the traffic. 202 once nothing speaks against it."""
        return await _activated(request, admin, CheckpointId(checkpoint))

    async def rollback(request: Request) -> JSONResponse:
        """The same, back to the version that served before."""
        return await _activated(request, admin, None)

    async def canary(request: Request, checkpoint: str) -> JSONResponse:
        """Load a version beside the active one, verify it, and give it a share of this replica's requests."""
        return await _tried(request, admin, CheckpointId(checkpoint), "canary")

    async def shadow(request: Request, checkpoint: str) -> JSONResponse:
        """The same with copies of a share of the requests; no customer gets its answers."""
        return await _tried(request, admin, CheckpointId(checkpoint), "shadow")

    async def promote(request: Request, checkpoint: str) -> JSONResponse:
        """Make the version on trial the active one."""
        replica, asked = _allowed(request, admin), await parsed(request, Asked)
        replica.promote(CheckpointId(checkpoint), asked.by)
        return JSONResponse(report_json(replica.swap), 202)

    async def stop(request: Request, checkpoint: str) -> JSONResponse:
        """End a trial; the active version stays."""
        replica, asked = _allowed(request, admin), await parsed(request, Asked)
        replica.stop(CheckpointId(checkpoint), asked.by)
        return JSONResponse(report_json(replica.swap), 202)

    options: dict[str, Any] = {"tags": ["checkpoints"], "responses": RESPONSES}
    app.get("/v1/checkpoints", **options)(checkpoints)
    for endpoint in (activate, canary, shadow, promote, stop):
        path = f"/v1/checkpoints/{{checkpoint}}/{endpoint.__name__}"
        body = _body(AskedTrial if endpoint in {canary, shadow} else Asked)
        app.post(path, status_code=202, openapi_extra=body, **options)(endpoint)
    app.post("/v1/checkpoints/rollback", status_code=202, openapi_extra=_body(Asked), **options)(rollback)


def _body(model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": model.model_json_schema()}}}}


def _allowed(request: Request, admin: Admin) -> Replica:
    """Raises NotAllowed, or ActivationRefused where there is no registry."""
    if admin.key is None:
        raise NotAllowed("no admin key is set, so nobody may do this; set ROUTE_FEEDBACK_ADMIN_KEY")
    given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(given, admin.key.get_secret_value().encode()):
        raise NotAllowed("this takes the admin key: Authorization: Bearer ...")
    if admin.replica is None:
        raise ActivationRefused("this service has no registry; set ROUTE_FEEDBACK_REGISTRY to a directory or a URL")
    return admin.replica


async def _activated(request: Request, admin: Admin, checkpoint: CheckpointId | None) -> JSONResponse:
    replica, asked = _allowed(request, admin), await parsed(request, Asked)
    checked = asyncio.Event()
    wish = ActivationRequest(checkpoint, asked.by, asked.without_gate)
    return await _begun(admin, replica, replica.activate(wish, checked), checked)


async def _tried(request: Request, admin: Admin, checkpoint: CheckpointId, mode: Mode) -> JSONResponse:
    replica, asked = _allowed(request, admin), await parsed(request, AskedTrial)
    plan = Plan(mode, asked.share)
    if replica.trial and replica.trial.wish.checkpoint == checkpoint:
        replica.trial.change(plan)
        return JSONResponse(report_json(replica.swap), 202)
    checked = asyncio.Event()
    wish = ActivationRequest(checkpoint, asked.by, asked.without_gate)
    return await _begun(admin, replica, replica.try_out(wish, plan, checked), checked)


async def _begun(
    admin: Admin, replica: Replica, work: Coroutine[Any, Any, Report], checked: asyncio.Event
) -> JSONResponse:
    """Answers when loading begins, or with what spoke against it; the rest is told by GET /v1/checkpoints."""
    task = asyncio.create_task(work)
    admin.under_way.add(task)
    task.add_done_callback(lambda done: _ended(admin, done))
    waiting = asyncio.create_task(checked.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done() and not checked.is_set():
        task.result()
    return JSONResponse(report_json(replica.swap), 202)


def _ended(admin: Admin, task: asyncio.Task[Report]) -> None:
    admin.under_way.discard(task)
    error = None if task.cancelled() else task.exception()
    if error and not isinstance(error, RouteFeedbackError):
        raise error  # a bug: the event loop's log has it, with its trace
