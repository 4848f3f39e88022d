"""A comment in, routed segments out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request, Response

from serve.http.auth import CallerKey
from serve.http.bodies import route_request
from serve.http.openapi import problems, request_body
from serve.http.schemas import RouteRequest, RouteResponse, response_of
from serve.http.service import Serving
from serve.http.watched import WatchedRoute
from taxonomy.errors import ClientGone

T = TypeVar("T")
_PROBLEMS: Final = problems(
    {
        400: "The body is not UTF-8.",
        413: "The comment is over the limit, which the text states.",
        422: "A field is at fault; `errors` names it.",
        429: "This key has more comments waiting than its share; `Retry-After` says when to try again.",
        503: "Try again after `Retry-After`: the service is starting, stopping or full, or its engine failed.",
        504: "The deadline of the request has passed.",
    }
)
_DOCUMENTED: Final = {
    **request_body(RouteRequest, required=True),
    "security": [{}],  # beside the key's, which FastAPI writes: it may be left out
}
router = APIRouter(tags=["route"], route_class=WatchedRoute)


@router.post(
    "/v1/route",
    operation_id="route_comment",
    summary="Route one comment",
    response_model=RouteResponse,
    responses=_PROBLEMS,
    openapi_extra=_DOCUMENTED,
)
async def route(
    request: Request, active: Serving, sent: Annotated[RouteRequest, Depends(route_request)], key: CallerKey
) -> Response:
    """Cut one comment into segments; give each a path in the taxonomy, an emotion, probabilities and a team."""
    seconds = sent.deadline_ms / 1000 if sent.deadline_ms else None
    # The same id goes to the same pair while a candidate is on trial; without one the same comment does.
    name = sent.id or sent.comment
    seconds = await active.passed(seconds)
    # Borrowed after the body has come: a slow sender holds up no activation.
    with active.borrowed(name) as borrowed:
        answer = await _unless_gone(request, borrowed.route(sent.comment, key, seconds))
        active.answered(borrowed, name, sent.comment, answer)
        id_ = sent.id or request.state.request_id
        response = response_of(answer, borrowed.pair, id_, dict(sent.metadata), sent.alternatives)
    # Given the model, FastAPI would check and copy it once more, which takes longer than all else here.
    return Response(response.model_dump_json(), media_type="application/json")


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
