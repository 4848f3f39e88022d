"""Who answers a request outside of HTTP's server: a running service, or an engine that is started for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from serve.http.faults import FieldFault
from taxonomy.errors import CommentInvalid, EngineFailed, RouteFeedbackError

if TYPE_CHECKING:  # what only asks a running service need not wait for pydantic's models and an engine's imports
    from serve.http.schemas import RouteRequest
    from serve.routing.router import Router


_TIMEOUT_S: Final = 600


class Failed(NamedTuple):
    """A comment without an answer: the problem as the service gives it, and its one line for a person."""

    problem: dict[str, Any]
    reason: str


Ask: TypeAlias = "Callable[[RouteRequest], Awaitable[dict[str, Any] | Failed]]"
"""A request -> its answer, as JSON. Raises EngineFailed where no other request could be answered either."""


@asynccontextmanager
async def running_service(url: str) -> AsyncIterator[Ask]:
    """A running service answers."""
    import httpx  # noqa: PLC0415 (not needed where an engine answers)

    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S) as client:

        async def ask(request: RouteRequest) -> dict[str, Any] | Failed:
            try:
                response = await client.post("/v1/route", json=request.model_dump(exclude_unset=True))
                body = response.json()
            except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
                raise EngineFailed(f"{client.base_url} did not answer: {_words(error)}") from error
            except (httpx.HTTPError, ValueError) as error:
                what = f"{client.base_url} did not answer: {_words(error)}"
                return failed(EngineFailed(what))
            if not isinstance(body, dict):
                return failed(EngineFailed(f"{client.base_url} answered with no object"))
            return Failed(body, str(body.get("detail"))) if response.is_error else body

        yield ask


@asynccontextmanager
async def started_engine(start: Callable[[], Awaitable[Router]]) -> AsyncIterator[Ask]:
    """An engine that is started for this answers."""
    from serve.http.schemas import response_of  # noqa: PLC0415

    router = await start()

    async def ask(request: RouteRequest) -> dict[str, Any] | Failed:
        seconds = request.deadline_ms / 1000 if request.deadline_ms else None
        try:
            answer = await router.route(request.comment, seconds=seconds)
        except RouteFeedbackError as error:
            if not router.is_alive:
                raise
            return failed(error)
        response = response_of(answer, router.pair, request.id or "1", dict(request.metadata), request.alternatives)
        return response.model_dump()

    try:
        yield ask
    finally:
        await router.close()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def failed(error: RouteFeedbackError) -> Failed:
    """The problem that the service would have sent."""
    faults = [FieldFault("comment", str(error))] if isinstance(error, CommentInvalid) else []
    return Failed(problem_of(error, faults), str(error))


def problem_of(error: RouteFeedbackError, faults: Iterable[FieldFault]) -> dict[str, Any]:
    """RFC 9457's members, but for a request's id: there was none over HTTP."""
    from serve.http.problems import kind_of  # noqa: PLC0415 (with it comes FastAPI)

    return {
        **kind_of(type(error))._asdict(),
        "status": error.status,
        "detail": str(error),
        "retryable": error.retryable,
        "errors": [fault._asdict() for fault in faults],
    }
