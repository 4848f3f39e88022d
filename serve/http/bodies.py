"""Bodies read by hand: bounded before they are parsed, parsed once, and exact about what is wrong with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from serve.http.documents import DocumentFaulty, read_document
from serve.http.faults import field_faults, in_a_line
from serve.http.schemas import RouteRequest
from serve.http.service import Serving
from taxonomy.errors import ClientGone, CommentTooLong, RequestInvalid, RouteFeedbackError

BODY_FACTOR: Final = 16
"""Bytes of body for each allowed character: JSON may escape one in 12, and the other fields need room."""
_LONGEST_ADMIN_BODY: Final = 4096
B = TypeVar("B", bound=BaseModel)


async def route_request(request: Request, active: Serving) -> RouteRequest:
    """The comment to route. Raises CommentTooLong, RequestInvalid, RequestValidationError or ClientGone."""
    max_comment = active.router.max_comment
    limits = f"{max_comment} characters, the whole body {max_comment * BODY_FACTOR} bytes"
    too_long = CommentTooLong(f"comment is too long: it may have {limits}")
    body = await _read(request, max_comment * BODY_FACTOR, too_long)
    try:
        return RouteRequest.model_validate(read_document(body))
    except DocumentFaulty as error:
        raise RequestValidationError(error.faults) from error
    except ValidationError as error:
        raise RequestValidationError(field_faults(error.errors())) from error


def admin_body(model: type[B]) -> Callable[[Request], Awaitable[B]]:
    """A dependency that gives what an admin sent, or the model's defaults where that is nothing."""

    async def parsed(request: Request) -> B:
        """Raises RequestInvalid or ClientGone."""
        too_long = RequestInvalid(f"the body may have {_LONGEST_ADMIN_BODY} bytes")
        body = await _read(request, _LONGEST_ADMIN_BODY, too_long)
        try:
            return model.model_validate(read_document(body) if body else {})
        except DocumentFaulty as error:
            raise RequestInvalid(in_a_line(error.faults)) from error
        except ValidationError as error:
            raise RequestInvalid(in_a_line(field_faults(error.errors()))) from error

    return parsed


async def _read(request: Request, limit: int, too_long: RouteFeedbackError) -> bytearray:
    """All of the body; of one over the limit no more than that and a piece is held."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise too_long
    except ClientDisconnect as error:
        raise ClientGone("the client hung up before its request was whole") from error
    return body
