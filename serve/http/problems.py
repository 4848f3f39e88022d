"""Errors -> RFC 9457 `application/problem+json`: the one place where foreign errors get our words."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve.http.faults import FieldFault, field_faults, in_a_line, listed, sendable
from serve.http.schemas import FieldError, Problem
from serve.telemetry.outcomes import UNEXPECTED
from taxonomy.errors import CommentInvalid, Overloaded, RequestInvalid, RouteFeedbackError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
log = logging.getLogger(__name__)


class ProblemName(NamedTuple):
    """What a problem is called: an URI for machines that resolve it, a code for all others, a title for people."""

    type: str
    code: str
    title: str


def install(app: FastAPI) -> None:
    """Every error of the app leaves as a problem."""
    app.add_exception_handler(RouteFeedbackError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def kind_of(error: type[RouteFeedbackError]) -> ProblemName:
    """What a problem of this error is called."""
    return ProblemName(f"urn:route-feedback:{error.code.replace('_', '-')}", error.code, error.title)


def _kind_of_status(status: HTTPStatus, code: str | None = None) -> ProblemName:
    """A problem that says no more than its status does."""
    return ProblemName("about:blank", code or status.name.lower(), status.phrase)


def _response(
    request: Request,
    status: int,
    kind: ProblemName,
    detail: str,
    *,
    faults: Sequence[FieldFault] = (),
    retry_after: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """`faults` name what in the request is at fault, `retry_after` the seconds until it may succeed."""
    body = Problem(
        **kind._asdict(),
        status=status,
        detail=sendable(detail),
        request_id=request.state.request_id,
        retryable=retry_after is not None,
        errors=[FieldError(**fault._asdict()) for fault in listed(faults)],
    )
    wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(body.model_dump(), status, {**(headers or {}), **wait}, MEDIA_TYPE)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RouteFeedbackError):
        raise error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", request.state.request_id, error)
    faults = [FieldFault("comment", str(error))] if isinstance(error, CommentInvalid) else []
    wait_s = error.retry_after if isinstance(error, Overloaded) else RETRY_AFTER_S
    retry_after = wait_s if error.retryable else None
    return _response(request, error.status, kind_of(type(error)), str(error), faults=faults, retry_after=retry_after)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [fault for raised in error.errors() for fault in _named(raised)]
    kind = kind_of(RequestInvalid)
    return _response(request, HTTPStatus.UNPROCESSABLE_ENTITY, kind, in_a_line(faults), faults=faults)


def _named(raised: Any) -> list[FieldFault]:
    """Bodies that are read by hand raise our own; of what FastAPI checks itself the first name is the part it is in."""
    return [raised] if isinstance(raised, FieldFault) else field_faults([raised | {"loc": raised["loc"][1:]}])


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    kind = _kind_of_status(HTTPStatus(error.status_code))
    return _response(request, error.status_code, kind, str(error.detail), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: unexpected", request.state.request_id, exc_info=error)
    kind = _kind_of_status(HTTPStatus(UNEXPECTED.status), UNEXPECTED.outcome)
    return _response(request, UNEXPECTED.status, kind, "an unexpected error; the log has it under this request_id")
