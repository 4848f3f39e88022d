"""A route whose every request is counted, timed, traced, and one line of the log, however it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from opentelemetry.trace import Span

from serve.http.service import service_of
from serve.telemetry.metrics import SPAN, Metrics
from serve.telemetry.outcomes import ANSWERED, UNREADABLE, VIOLATION, Outcome, outcome_of
from serve.telemetry.traces import exemplar, mark_failed, options_of_request

log = logging.getLogger(__name__)


class WatchedRoute(APIRoute):
    """Watches all of a request: its dependencies, which read the body, and the operation itself."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def watching(request: Request) -> Response:
            metrics = service_of(request).metrics
            name = f"{request.method} {self.path}"
            with metrics.tracer.start_as_current_span(name, **options_of_request(request.headers)) as made:
                made.set_attributes({"http.request.method": request.method, "http.route": self.path})
                made.set_attribute(f"{SPAN}request_id", request.state.request_id)
                with _ending(metrics, made):
                    return await handler(request)

        return watching


@contextmanager
def _ending(metrics: Metrics, made: Span) -> Iterator[None]:
    started = time.perf_counter()
    outcome = ANSWERED
    try:
        yield
    except BaseException as error:
        outcome = _outcome_of(error)
        if outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            mark_failed(made, type(error))
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


def _outcome_of(error: BaseException) -> Outcome:
    return UNREADABLE if isinstance(error, RequestValidationError) else outcome_of(type(error))
