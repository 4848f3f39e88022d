"""Errors -> RFC 9457 `application/problem+json`: the one place where foreign errors get our words."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve.http.schemas import Problem
from taxonomy.errors import CommentInvalid, RouteFeedbackError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
_PHRASES: Final = {status.phrase for status in HTTPStatus}
log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Every error of the app leaves as a problem."""
    app.add_exception_handler(RouteFeedbackError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    request: Request, status: int, title: str, detail: str, *, field: str | None = None, retry_after: int | None = None
) -> JSONResponse:
    """A problem; `field` names what in the request is at fault, `retry_after` the seconds until it may succeed."""
    errors = [{"field": field, "message": detail}] if field else []
    return _response(request, status, title, detail, errors=errors, retry_after=retry_after)


def _response(
    request: Request,
    status: int,
    title: str,
    detail: str,
    *,
    errors: list[dict[str, str]],
    retry_after: int | None = None,
) -> JSONResponse:
    kind = "about:blank" if title in _PHRASES else f"urn:route-feedback:{title.lower().replace(' ', '-')}"
    body = Problem(
        type=kind,
        title=title,
        status=status,
        detail=detail,
        request_id=request.state.request_id,
        retryable=retry_after is not None,
        errors=errors,
    )
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RouteFeedbackError):
        raise error
    field = "comment" if isinstance(error, CommentInvalid) else None
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s: %s", request.state.request_id, error)
    retry_after = getattr(error, "retry_after", RETRY_AFTER_S) if error.retryable else None
    return problem(request, error.status, error.title, str(error), field=field, retry_after=retry_after)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = []
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"][1:])
        errors.append({"field": path or "body", "message": fault["msg"]})
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors)
    return _response(request, 422, "Request invalid", detail, errors=errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem(request, error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: unexpected", request.state.request_id, exc_info=error)
    title = HTTPStatus.INTERNAL_SERVER_ERROR.phrase
    return problem(request, 500, title, "an unexpected error; the log has it under this request_id")
