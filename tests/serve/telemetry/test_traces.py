"""Spans as a collector receives them: a real OTLP receiver over a real socket."""

from __future__ import annotations

import http.server
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from serve.activation.activation import ActivationRequest
from serve.activation.phases import Phase
from serve.engine.protocol import Decoded, Engine, ScriptedEngine
from serve.engine.trace_headers import trace_headers
from serve.routing.observer import STAGES
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of
from serve.telemetry.logs import formatter
from serve.telemetry.metrics import Metrics
from serve.telemetry.traces import NAME, NO_TRACER, is_asked_for, tracing
from taxonomy.errors import CallWrong, CheckpointInvalid
from tests.serve.telemetry.test_metrics import Failing
from tests.support.apps import app_on
from tests.support.checkpoints import WEIGHTS, root_of
from tests.support.two_checkpoints import TwoCheckpoints

TEXT = "Zebrafish 4711 came late."
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
ERROR = 2


class Collector:
    """What has arrived: whole bodies, and the spans in them by name."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def resources(self) -> list[Any]:
        return [r for body in self.bodies for r in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> dict[str, Any]:
        return {span.name: span for r in self.resources for scope in r.scope_spans for span in scope.spans}


def attributes(of: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A receiver that the OTEL_* variables name."""
    collected = Collector()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collected.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the signature is http.server's)
            """Nothing on the terminal."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield collected
        server.shutdown()


@contextmanager
def traced(pair: Pair, engine: Engine) -> Iterator[TestClient]:
    """The app as the service runs it; when it ends all spans have been sent."""
    with tracing(os.environ) as tracer:
        metrics = Metrics(CollectorRegistry(), tracer)
        router = Router(pair, engine, limits_of(load_settings({})), 32_768, metrics)
        with TestClient(app_on(router, metrics), raise_server_exceptions=False) as client:
            yield client


def test_a_request_is_one_tree_of_spans_from_http_to_the_engine(
    pair: Pair, scripted: ScriptedEngine, collector: Collector
) -> None:
    with traced(pair, scripted) as client:
        answer = client.post("/v1/route", json={"comment": TEXT})
    spans = collector.spans
    assert set(spans) == {"POST /v1/route", *STAGES}
    root = spans.pop("POST /v1/route")
    assert root.parent_span_id == b""
    for span in spans.values():
        assert (span.trace_id, span.parent_span_id) == (root.trace_id, root.span_id)
        assert root.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    told = attributes(root)
    assert told["route_feedback.request_id"] == answer.headers["x-request-id"]
    assert (told["route_feedback.outcome"], told["http.response.status_code"]) == ("answered", 200)
    assert told["route_feedback.checkpoint"] == pair.checkpoint
    assert told["route_feedback.segments"] == len(answer.json()["segments"])
    assert attributes(collector.resources[0].resource)["service.name"] == NAME


async def test_an_activation_is_a_tree_of_its_phases(two: TwoCheckpoints, collector: Collector) -> None:
    with tracing(os.environ) as tracer:
        two.activator._tracer = tracer
        await two.activator.activate(ActivationRequest(two.second, "ada"))
    spans = collector.spans
    root = spans.pop("activation")
    assert attributes(root) == {"route_feedback.checkpoint": two.second, "route_feedback.outcome": "active"}
    phases = sorted(spans.values(), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in phases] == [phase for phase in two.phases if phase is not Phase.IDLE]
    assert {span.parent_span_id for span in phases} == {root.span_id}


async def test_an_activation_that_fails_says_where(two: TwoCheckpoints, collector: Collector) -> None:
    (root_of(two.registry) / "versions" / two.second / WEIGHTS).write_bytes(b"")
    with tracing(os.environ) as tracer:
        two.activator._tracer = tracer
        with pytest.raises(CheckpointInvalid):
            await two.activator.activate(ActivationRequest(two.second, "ada"))
    spans = collector.spans
    assert attributes(spans["activation"])["route_feedback.outcome"] == "failed"
    assert {name for name, span in spans.items() if span.status.code == ERROR} == {"activation", "checking"}
    assert "returning" in spans


def test_the_senders_trace_is_carried_on(pair: Pair, scripted: ScriptedEngine, collector: Collector) -> None:
    with traced(pair, scripted) as client:
        client.post("/v1/route", json={"comment": TEXT}, headers={"traceparent": SAMPLED})
    root = collector.spans["POST /v1/route"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, PARENT)
    assert {span.trace_id for span in collector.spans.values()} == {root.trace_id}


def test_what_the_sender_does_not_trace_is_not_sent(pair: Pair, scripted: ScriptedEngine, collector: Collector) -> None:
    with traced(pair, scripted) as client:
        client.post("/v1/route", json={"comment": TEXT}, headers={"traceparent": NOT_SAMPLED})
        assert "trace_id" not in exposed(client)
    assert not collector.bodies


def exposed(client: TestClient) -> str:
    return client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text


def test_the_latency_leads_to_the_trace(pair: Pair, scripted: ScriptedEngine, collector: Collector) -> None:
    with traced(pair, scripted) as client:
        client.post("/v1/route", json={"comment": TEXT}, headers={"traceparent": SAMPLED})
        buckets = [line for line in exposed(client).splitlines() if line.startswith("route_feedback_latency_seconds_b")]
    (marked,) = [line for line in buckets if "#" in line]
    root = collector.spans["POST /v1/route"]
    assert set(re.findall(r'(\w+)="(\w+)"', marked.split("#")[1])) == {
        ("trace_id", TRACE), ("span_id", root.span_id.hex())
    }  # fmt: skip


def test_lines_of_the_log_name_the_trace(pair: Pair, scripted: ScriptedEngine, collector: Collector) -> None:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter("json"))
    log = logging.getLogger("serve.http.watched")
    log.addHandler(handler)
    before = log.level
    log.setLevel(logging.INFO)
    with traced(pair, scripted) as client:
        client.post("/v1/route", json={"comment": TEXT}, headers={"traceparent": SAMPLED})
    log.removeHandler(handler)
    log.setLevel(before)
    assert json.loads(written.getvalue())["trace_id"] == TRACE
    assert collector.spans


@pytest.mark.parametrize("end", [Decoded((), ()), ZeroDivisionError(TEXT), ValueError(TEXT)])
def test_no_span_holds_the_comment_even_where_an_error_quotes_it(
    pair: Pair, end: Decoded | Exception, collector: Collector
) -> None:
    with traced(pair, Failing(end)) as client:
        client.post("/v1/route", json={"comment": TEXT, "id": "order-99", "metadata": {"a": "b-77"}})
    assert collector.spans["POST /v1/route"].status.code == ERROR
    for word in ("Zebrafish", "4711", "order-99", "b-77"):
        assert word.encode() not in b"".join(collector.bodies)


def test_the_service_failing_is_an_error_and_the_client_being_wrong_is_none(pair: Pair, collector: Collector) -> None:
    with traced(pair, Failing(ZeroDivisionError("a bug"))) as client:
        client.post("/v1/route", json={"comment": TEXT})
    root, decode = collector.spans["POST /v1/route"], collector.spans["decode"]
    assert (root.status.code, decode.status.code) == (ERROR, ERROR)
    assert (root.status.message, attributes(root)["error.type"]) == ("", "ZeroDivisionError")
    assert not root.events
    collector.bodies.clear()
    with traced(pair, Failing(ZeroDivisionError("a bug"))) as client:
        client.post("/v1/route", json={"comment": ""})
    (root,) = collector.spans.values()
    assert root.status.code != ERROR
    assert attributes(root)["route_feedback.outcome"] == "comment_invalid"


def test_what_the_engine_is_asked_can_carry_the_trace_on(collector: Collector) -> None:
    assert trace_headers() is None
    with tracing(os.environ) as tracer, tracer.start_as_current_span("a") as span:
        context = span.get_span_context()
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        assert trace_headers() == {"traceparent": parent}
    assert collector.spans


def test_a_collector_that_is_gone_costs_no_answer(
    pair: Pair, scripted: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with traced(pair, scripted) as client:
        assert client.post("/v1/route", json={"comment": TEXT}).status_code == 200


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "a"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, False),
    ],
)
def test_spans_go_out_only_where_the_variables_say_to(environment: dict[str, str], expected: bool) -> None:  # noqa: FBT001 (a case)
    assert is_asked_for(environment) is expected


def test_without_the_variables_there_is_no_tracer() -> None:
    with tracing({}) as tracer:
        assert tracer is NO_TRACER


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "jaeger"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
    ],
)
def test_what_is_asked_for_and_not_built_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(CallWrong, match="OTEL_"):
        is_asked_for(environment)
