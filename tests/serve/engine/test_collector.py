"""VLLM's own metrics on the service's page, with one engine and with two beside each other."""

from __future__ import annotations

import re

import httpx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from serve.engine.collector import NAMED, Engines
from serve.engine.protocol import Decoded, ScriptedEngine
from serve.routing.pair import Pair
from taxonomy.labels import CheckpointId
from tests.conftest import Live
from tests.serve.telemetry.test_metrics import app_with

BLUE, GREEN = CheckpointId("ck_blue"), CheckpointId("ck_green")
MOST_SERIES = 700


def registry(count: int) -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("vllm:preemptions", "Of an engine.", [NAMED, "engine"], registry=made).labels("/a/path", "0").inc(count)
    return made


def page(engines: Engines) -> str:
    shown = CollectorRegistry()
    shown.register(engines)
    return generate_latest(shown).decode()


def counted(engines: Engines) -> dict[str, float]:
    samples = [s for family in text_string_to_metric_families(page(engines)) for s in family.samples]
    return {s.labels[NAMED]: s.value for s in samples if s.name.endswith("_total")}


def test_two_engines_share_a_family_and_each_names_its_checkpoint() -> None:
    engines = Engines()
    engines.add(registry(3), BLUE)
    engines.add(registry(5), GREEN)
    assert page(engines).count("# TYPE vllm:preemptions_total counter") == 1
    assert counted(engines) == {BLUE: 3, GREEN: 5}


def test_names_are_the_same_in_both_formats(pair: Pair, scripted: ScriptedEngine) -> None:
    client, metrics = app_with(pair, scripted)
    metrics.engines.add(registry(3), BLUE)
    for accepted in ("text/plain", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"):
        page = client.get("/metrics", headers={"Accept": accepted})
        assert f'vllm:preemptions_total{{engine="0",model_name="{BLUE}"}} 3.0' in page.text
        assert page.headers["content-type"].startswith(accepted.split(";", maxsplit=1)[0])


def test_the_one_that_goes_leaves_the_other() -> None:
    engines, blue, green = Engines(), registry(3), registry(5)
    engines.add(blue, BLUE)
    engines.add(green, GREEN)
    engines.remove(green)
    engines.remove(green)
    assert counted(engines) == {BLUE: 3}


def test_of_two_on_one_checkpoint_the_later_is_shown_and_then_the_one_that_stays() -> None:
    engines, first, second = Engines(), registry(3), registry(5)
    engines.add(first, BLUE)
    engines.add(second, BLUE)
    assert counted(engines) == {BLUE: 5}
    engines.remove(second)
    assert counted(engines) == {BLUE: 3}


def test_an_engine_that_gets_other_weights_gets_another_name() -> None:
    engines, only = Engines(), registry(3)
    engines.add(only, BLUE)
    engines.add(only, GREEN)
    assert counted(engines) == {GREEN: 3}


def test_vllms_own_logger_writes_into_the_registry_that_it_is_given(pair: Pair) -> None:
    from vllm.engine.arg_utils import EngineArgs  # noqa: PLC0415 (vLLM takes seconds to import)
    from vllm.v1.metrics.stats import IterationStats, SchedulerStats  # noqa: PLC0415

    from serve.engine.vllm.stats import stat_logger  # noqa: PLC0415

    config = EngineArgs(model=pair.model.path, enforce_eager=True).create_engine_config()
    engines, loggers = Engines(), []
    for checkpoint in (BLUE, GREEN):
        stats = CollectorRegistry()
        loggers.append(stat_logger(stats)(config, [0]))
        engines.add(stats, checkpoint)
    for logger, running in zip(loggers, (3, 5), strict=True):
        logger.log_engine_initialized()
        logger.record(SchedulerStats(num_running_reqs=running), IterationStats())
    told = page(engines)
    for checkpoint, running in ((BLUE, 3), (GREEN, 5)):
        assert f'vllm:num_requests_running{{engine="0",model_name="{checkpoint}"}} {running}.0' in told
    assert pair.model.path not in told
    assert len(set(types := re.findall(r"# TYPE (\S+)", told))) == len(types)
    assert "vllm:" not in generate_latest(REGISTRY).decode()


def test_the_page_of_a_real_engine_has_them(live: Live, pair: Pair) -> None:
    def read() -> list[Sample]:
        families = text_string_to_metric_families(httpx.get(f"{live.url}/metrics").text)
        return [sample for family in families for sample in family.samples]

    def total(samples: list[Sample], name: str, **labels: str) -> float:
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    before = read()
    assert httpx.post(f"{live.url}/v1/route", json={"comment": "It came late."}, timeout=60).status_code == 200
    after = read()

    def gained(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    vllms = [sample for sample in after if sample.name.startswith("vllm:")]
    assert {sample.labels[NAMED] for sample in vllms} == {pair.checkpoint}
    assert len(vllms) < MOST_SERIES
    decided = gained("route_feedback_answer_tokens_total", kind="decided")
    assert gained("vllm:generation_tokens_total") == decided > 0
    assert gained("vllm:prompt_tokens_total") > 0
    assert gained("vllm:time_to_first_token_seconds_count") == 1
    assert gained("vllm:prefix_cache_queries_total") > 0
    for kind in ("compile", "masks"):
        assert gained("route_feedback_constraint_seconds_count", kind=kind) == 1
        assert 0 < gained("route_feedback_constraint_seconds_sum", kind=kind) < 1


def test_the_span_of_a_decode_says_when_the_engine_did_what(live: Live) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def decode() -> Decoded:
        assert live.router
        with provider.get_tracer("test").start_as_current_span("decode"):
            return await live.engine.decode(live.router.task("It came late."))

    decoded = live.run(decode())
    assert decoded.masking_s
    (span,) = exporter.get_finished_spans()
    assert [event.name for event in span.events] == ["scheduled", "first_token", "last_token"]
    times = [span.start_time or 0, *(event.timestamp for event in span.events), span.end_time or 0]
    assert times == sorted(times)
