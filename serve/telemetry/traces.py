"""Spans of requests, sent by OTLP where the standard OTEL_* variables ask for it. None holds a customer's text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taxonomy.errors import CallWrong

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

NO_TRACER: Final[Tracer] = NoOpTracer()
NAME: Final = "route-feedback"
_W3C: Final = TraceContextTextMapPropagator()
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OURS: Final = "http/protobuf"
_NO_WORDS: Final[Mapping[str, Any]] = {"record_exception": False, "set_status_on_exception": False}
"""Of an error a span says the type alone: its message may quote the comment."""


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the variables name somewhere to send spans to. Raises CallWrong for what we cannot send."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if exporter not in {"", "otlp"}:
        raise CallWrong(f"OTEL_TRACES_EXPORTER={exporter}: spans go out by otlp, or none do")
    if not exporter and not any(environment.get(name) for name in _ENDPOINTS):
        return False
    for name in _PROTOCOLS:
        if environment.get(name, _OURS) != _OURS:
            raise CallWrong(f"{name}={environment[name]}: spans go out by {_OURS}")
    return True


@contextmanager
def tracing(environment: Mapping[str, str]) -> Iterator[Tracer]:
    """A tracer for as long as the service runs; at the end what it has not sent yet goes out. Raises CallWrong."""
    if not is_asked_for(environment):
        yield NO_TRACER
        return
    provider = _exporting()
    try:
        yield provider.get_tracer(NAME)
    finally:
        provider.shutdown()


def _exporting() -> TracerProvider:
    """Sends spans in the background, as the OTEL_* variables of this process say: the library reads them itself."""
    # Imported by who traces alone.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.name": NAME}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@contextmanager
def span(tracer: Tracer, name: str) -> Iterator[None]:
    """A part of the current span."""
    with tracer.start_as_current_span(name, **_NO_WORDS) as made:
        try:
            yield
        except BaseException as error:
            mark_failed(made, type(error))
            raise


def mark_failed(made: Span, error: type[BaseException]) -> None:
    """Mark a span as failed by an error of that type."""
    made.set_status(StatusCode.ERROR)
    made.set_attribute("error.type", error.__qualname__)


def options_of_request(headers: Mapping[str, str]) -> dict[str, Any]:
    """Options of the span of a request that came with these headers: a child of its sender's span."""
    return {"kind": SpanKind.SERVER, "context": _W3C.extract(headers), **_NO_WORDS}


def exemplar(made: Span) -> dict[str, str] | None:
    """What leads from a measured value to its trace; None where the trace is not kept."""
    context = made.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
