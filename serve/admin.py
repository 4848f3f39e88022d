"""The admin's part of HTTP: which checkpoints there are, and which of them serves."""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from serve.swap import Report, Swap, Wish
from taxonomy.errors import NotAllowed, RequestInvalid, RouteFeedbackError, SwapRefused
from taxonomy.labels import CheckpointId

_LONGEST_BODY: Final = 4096
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "The body cannot be read."},
    403: {"description": "No admin key, the wrong one, or the service has none set."},
    404: {"description": "The registry has no such checkpoint."},
    409: {"description": "It may not be activated, or another activation is under way; the active one stays."},
    503: {"description": "The registry cannot be reached now."},
}


class Asked(BaseModel):
    """The body of an activation or rollback; it may be left out. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field("admin", min_length=1, max_length=200, description="Who asks; it is recorded.")
    without_gate: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the admin who takes on what the gate did not pass."
    )


@dataclass(frozen=True)
class Admin:
    """Who may swap, and what swaps. `under_way` keeps activations from being forgotten while they run."""

    swap: Swap | None
    key: SecretStr | None
    under_way: set[asyncio.Task[Report]] = field(default_factory=set)

    async def stop(self) -> None:
        """Break off what is under way; its engine is closed."""
        for task in self.under_way:
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)


def install(app: FastAPI, admin: Admin) -> None:
    """The routes; each asks for the admin's key."""

    async def checkpoints(request: Request) -> JSONResponse:
        """Every version with its state, what this service serves, and the activation under way or last."""
        swap = _allowed(request, admin)
        return JSONResponse(await asyncio.to_thread(_listed, swap))

    async def activate(request: Request, checkpoint: str) -> JSONResponse:
        """Load a version beside the active one, verify it, shift the traffic. 202 once nothing speaks against it."""
        return await _begun(request, admin, CheckpointId(checkpoint))

    async def rollback(request: Request) -> JSONResponse:
        """The same, back to the version that served before."""
        return await _begun(request, admin, None)

    options: dict[str, Any] = {"tags": ["checkpoints"], "responses": RESPONSES}
    body = {"content": {"application/json": {"schema": Asked.model_json_schema()}}}
    app.get("/v1/checkpoints", **options)(checkpoints)
    for path, endpoint in (("/v1/checkpoints/{checkpoint}/activate", activate), ("/v1/checkpoints/rollback", rollback)):
        app.post(path, status_code=202, openapi_extra={"requestBody": body}, **options)(endpoint)


def _allowed(request: Request, admin: Admin) -> Swap:
    """Raises NotAllowed, or SwapRefused where there is no registry."""
    if admin.key is None:
        raise NotAllowed("no admin key is set, so nobody may do this; set ROUTE_FEEDBACK_ADMIN_KEY")
    given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(given, admin.key.get_secret_value().encode()):
        raise NotAllowed("this takes the admin key: Authorization: Bearer ...")
    if admin.swap is None:
        raise SwapRefused("this service has no registry; set ROUTE_FEEDBACK_REGISTRY to a directory")
    return admin.swap


async def _begun(request: Request, admin: Admin, checkpoint: CheckpointId | None) -> JSONResponse:
    """Answers when loading begins, or with what spoke against it; the rest is told by GET /v1/checkpoints."""
    swap = _allowed(request, admin)
    asked = await _asked(request)
    checked = asyncio.Event()
    task = asyncio.create_task(swap.activate(Wish(checkpoint, asked.by, asked.without_gate), checked))
    admin.under_way.add(task)
    task.add_done_callback(lambda done: _ended(admin, done))
    waiting = asyncio.create_task(checked.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done() and not checked.is_set():
        task.result()
    return JSONResponse(report_json(swap), 202)


def _ended(admin: Admin, task: asyncio.Task[Report]) -> None:
    admin.under_way.discard(task)
    error = None if task.cancelled() else task.exception()
    if error and not isinstance(error, RouteFeedbackError):
        raise error  # a bug: the event loop's log has it, with its trace


async def _asked(request: Request) -> Asked:
    body = await request.body()
    if len(body) > _LONGEST_BODY:
        raise RequestInvalid(f"the body may have {_LONGEST_BODY} bytes")
    try:
        return Asked.model_validate(json.loads(body) if body else {})
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestInvalid(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise RequestInvalid(f"the body is not JSON: {error}") from error


def _listed(swap: Swap) -> dict[str, Any]:
    now = swap.registry.read()
    pair = swap.active.router.pair
    return {
        "serving": {"checkpoint": pair.checkpoint, "taxonomy": pair.taxonomy.version},
        "active": now.active,
        "rollback": now.behind[-1] if now.behind else None,
        "versions": [{"checkpoint": name, **version.model_dump()} for name, version in now.versions.items()],
        "activation": report_json(swap),
    }


def report_json(swap: Swap) -> dict[str, Any] | None:
    """The activation under way or last; None before the first."""
    report = swap.report
    if report is None:
        return None
    return {
        "checkpoint": report.checkpoint or report.wish.checkpoint,
        "before": report.before,
        "rollback": report.wish.checkpoint is None,
        "phase": swap.phase,
        "outcome": report.outcome,
        "broke_off": report.broke_off,
        "reason": report.reason,
        "by": report.wish.by,
        "without_gate": report.wish.without_gate,
        "seconds": dict(report.seconds),
    }
