"""What makes an engine's own spans children of ours."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C: Final = TraceContextTextMapPropagator()


def trace_headers() -> dict[str, str] | None:
    """W3C headers that name the current span as the parent; None where nothing is traced."""
    if not get_current_span().get_span_context().is_valid:
        return None
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers
