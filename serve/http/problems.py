"""Errors -> RFC 9457 `application/problem+json`: the one place where foreign errors get our words."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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
    errors: list[FieldError] | None = None,
    retry_after: int | None = None,
) -> JSONResponse:
    """`errors` name what in the request is at fault, `retry_after` the seconds until it may succeed."""
    body = Problem(
        **kind._asdict(),
        status=status,
        detail=detail,
        request_id=request.state.request_id,
        retryable=retry_after is not None,
        errors=errors or [],
    )
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RouteFeedbackError):
        raise error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", request.state.request_id, error)
    errors = [FieldError(field="comment", message=str(error))] if isinstance(error, CommentInvalid) else []
    wait_s = error.retry_after if isinstance(error, Overloaded) else RETRY_AFTER_S
    retry_after = wait_s if error.retryable else None
    return _response(request, error.status, kind_of(type(error)), str(error), errors=errors, retry_after=retry_after)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        FieldError(field=".".join(map(str, fault["loc"][1:])) or "body", message=fault["msg"])
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in errors)
    return _response(request, HTTPStatus.UNPROCESSABLE_ENTITY, kind_of(RequestInvalid), detail, errors=errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return _response(request, error.status_code, _kind_of_status(HTTPStatus(error.status_code)), str(error.detail))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: unexpected", request.state.request_id, exc_info=error)
    kind = _kind_of_status(HTTPStatus(UNEXPECTED.status), UNEXPECTED.outcome)
    return _response(request, UNEXPECTED.status, kind, "an unexpected error; the log has it under this request_id")
