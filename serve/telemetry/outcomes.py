"""How a request ended: counted, timed, and one line of the log."""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry.trace import Span
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from serve.telemetry.metrics import SPAN, Metrics
from serve.telemetry.traces import arrived, exemplar, failed
from taxonomy import errors

log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]


class Outcome(NamedTuple):
    """What it is called, and the HTTP status that says so."""

    outcome: str
    status: int


ANSWERED: Final = Outcome("answered", 200)
UNEXPECTED: Final = Outcome("unexpected", 500)
EXPECTED: Final = (
    errors.RequestInvalid,
    RequestValidationError,
    errors.CommentInvalid,
    errors.CommentTooLong,
    errors.TooManyRequests,
    errors.ClientGone,
    errors.Overloaded,
    errors.NotReady,
    errors.EngineFailed,
    errors.AnswerInvalid,
    errors.DeadlinePassed,
)


def outcome_of(error: type[BaseException]) -> Outcome:
    """The outcome that an error makes: its name and its status."""
    if issubclass(error, RequestValidationError):
        return Outcome("request_unreadable", 422)
    if issubclass(error, errors.RouteFeedbackError):
        return Outcome(re.sub(r"(?<!^)([A-Z])", r"_\1", error.__name__).lower(), error.status)
    return UNEXPECTED


VIOLATION: Final = outcome_of(errors.AnswerInvalid)


def watched(endpoint: Endpoint, metrics: Metrics) -> Endpoint:
    """The same endpoint, whose every request is counted; all outcomes are there at 0 from the start."""
    for outcome in (ANSWERED, UNEXPECTED, *map(outcome_of, EXPECTED)):
        metrics.requests.labels(*outcome)

    @functools.wraps(endpoint)
    async def watching(request: Request) -> Response:
        name = f"{request.method} {request.url.path}"
        with metrics.tracer.start_as_current_span(name, **arrived(request.headers)) as made:
            made.set_attributes({"http.request.method": request.method, "http.route": request.url.path})
            made.set_attribute(f"{SPAN}request_id", request.state.request_id)
            with _ending(metrics, made):
                return await endpoint(request)

    return watching


@contextmanager
def _ending(metrics: Metrics, made: Span) -> Iterator[None]:
    started = time.perf_counter()
    outcome = ANSWERED
    try:
        yield
    except BaseException as error:
        outcome = outcome_of(type(error))
        if outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            failed(made, type(error))
        raise
    finally:
        seconds = time.perf_counter() - started
        metrics.requests.labels(*outcome).inc()
        made.set_attributes({f"{SPAN}outcome": outcome.outcome, "http.response.status_code": outcome.status})
        if outcome == ANSWERED:
            metrics.latency.observe(seconds, exemplar(made))
        if outcome == VIOLATION:
            metrics.violations.inc()
        log.info("request ended", extra=outcome._asdict() | {"seconds": round(seconds, 6)})


def exposed(metrics: Metrics) -> Callable[[Request], Response]:
    """`GET /metrics`, in the format that the scraper asks for."""

    def get_metrics(request: Request) -> Response:
        """What Prometheus scrapes."""
        text, media_type = generate_latest(metrics.registry), CONTENT_TYPE_PLAIN_0_0_4
        if "application/openmetrics-text" in request.headers.get("accept", ""):
            # Our names need no escaping; the library's own choice would write vllm:this as vllm_this.
            text = openmetrics.generate_latest(metrics.registry, escaping=openmetrics.ALLOWUTF8)  # type: ignore[no-untyped-call]
            media_type = openmetrics.CONTENT_TYPE_LATEST
        return Response(text, headers={"Content-Type": media_type})

    return get_metrics
