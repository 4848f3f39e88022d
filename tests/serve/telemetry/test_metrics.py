"""What /metrics says after requests of every kind."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from serve.engine.protocol import Decoded, Engine, ScriptedEngine, SingleModel, Task
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of, metrics_on
from serve.telemetry.answer_metrics import MOST_VALUES, OTHER
from serve.telemetry.metrics import LATENCY_S, Metrics
from serve.telemetry.outcomes import EXPECTED
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId
from taxonomy.language.automaton import CLOSED
from taxonomy.tree import Leaf, Taxonomy
from tests.support.apps import app_on

TEXT = "I bought it in May. The picture is blurry, it came late."
Read = Callable[..., float]
NAME = "route_feedback_"


class Failing(SingleModel):
    """An engine that ends every comment with what it was given."""

    def __init__(self, end: Decoded | Exception) -> None:
        self._end = end
        self.is_alive, self.kind = True, "scripted/float32"

    async def decode(self, _: Task) -> Decoded:
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


def app_with(pair: Pair, engine: Engine, **settings: Any) -> tuple[TestClient, Metrics]:
    metrics = metrics_on(CollectorRegistry()).answers
    router = Router(pair, engine, limits_of(load_settings({}, **settings)), 32_768, metrics)
    return TestClient(app_on(router, metrics), raise_server_exceptions=False), metrics


def value(client: TestClient, name: str, **labels: str) -> float:
    """One sample of what is exposed; it has to be there."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    found = [s.value for family in families for s in family.samples if s.name == NAME + name and s.labels == labels]
    assert len(found) == 1, f"{name} {labels}"
    return found[0]


def total(client: TestClient, name: str) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(s.value for family in families for s in family.samples if s.name == NAME + name)


@pytest.fixture
def fresh(pair: Pair, scripted: ScriptedEngine) -> Iterator[TestClient]:
    with app_with(pair, scripted)[0] as client:
        yield client


def test_an_answer_is_counted_as_what_it_says(fresh: TestClient) -> None:
    answer = fresh.post("/v1/route", json={"comment": TEXT}).json()
    segments, residue = answer["segments"], answer["residue"]
    assert segments or residue
    assert value(fresh, "requests_total", outcome="answered", status="200") == 1
    assert value(fresh, "segments_per_comment_sum") == len(segments) == total(fresh, "segments_total")
    assert total(fresh, "characters_total") == len(TEXT)
    assert value(fresh, "characters_total", kind="residue") == sum(len(r["content"]) for r in residue)
    assert total(fresh, "reviews_total") == sum(s["needs_review"] for s in segments)
    for level in ("L1", "L4", "emotion", "team"):
        expected = sum(s["confidence"][level] for s in segments)
        assert value(fresh, "confidence_sum", level=level) == pytest.approx(expected, abs=1e-4)
    for segment in segments:
        labels = {"l1": segment["L1"], "team": segment["team"], "emotion": segment["emotion"]}
        assert value(fresh, "segments_total", **labels) >= 1


@pytest.mark.parametrize(("sure", "kinds"), [(-0.1, 0), (-3.0, 1)])
def test_an_answer_for_review_is_counted_once_by_what_asks_for_it(pair: Pair, sure: float, kinds: int) -> None:
    """By an engine that takes all for residue, and one that takes all for segments."""
    bare, (root, *_) = replace(pair, calibration=None), pair.automaton.branches
    closings = {("residue" if edge.to == CLOSED else "segment"): token for token, edge in root.items()}
    for kind, closing in closings.items():

        def choose(allowed: tuple[int, ...], closing: int = closing) -> tuple[int, float]:
            return closing if closing in allowed else allowed[0], sure

        with app_with(bare, ScriptedEngine(pair.automaton, choose))[0] as client:
            answer = client.post("/v1/route", json={"comment": TEXT}).json()
            (other,) = closings.keys() - {kind}
            assert answer["needs_review"] == bool(kinds)
            assert value(client, "answers_for_review_total", because=kind) == kinds
            assert value(client, "answers_for_review_total", because=other) == 0
            told = sum(residue["confidence"] for residue in answer["residue"])
            assert value(client, "confidence_sum", level="residue") == pytest.approx(told, abs=1e-4)


def test_decided_and_forced_tokens_are_those_of_the_answer(pair: Pair) -> None:
    lengths: list[tuple[int, int]] = []

    class Counting(ScriptedEngine):
        async def decode(self, task: Task) -> Decoded:
            decoded = await super().decode(task)
            walk = pair.automaton.walk(task.chunk_tokens)
            forced = len(walk.forced) + sum(len(walk.decide(token)) for token in decoded.tokens)
            lengths.append((len(decoded.tokens), forced))
            return decoded

    # The last token allowed at the root goes on or opens labels, so that there are some.
    client, _ = app_with(pair, Counting(pair.automaton, lambda allowed: (allowed[-1], -0.1)))
    with client:
        client.post("/v1/route", json={"comment": TEXT})
        decided, forced = lengths[0]
        assert value(client, "answer_tokens_total", kind="decided") == decided > 0
        assert value(client, "answer_tokens_total", kind="forced") == forced > decided


def test_every_stage_is_timed_and_together_they_are_no_longer_than_the_request(fresh: TestClient) -> None:
    for _ in range(3):
        fresh.post("/v1/route", json={"comment": TEXT})
    stages = ("queue", "prepare", "decode", "read")
    assert [value(fresh, "stage_seconds_count", stage=stage) for stage in stages] == [3, 3, 3, 3]
    assert value(fresh, "latency_seconds_count") == 3
    assert total(fresh, "stage_seconds_sum") <= value(fresh, "latency_seconds_sum")


def test_all_outcomes_and_the_violations_stand_at_zero_before_the_first_request(fresh: TestClient) -> None:
    for outcome in EXPECTED:
        assert value(fresh, "requests_total", outcome=outcome.outcome, status=str(outcome.status)) == 0
    assert value(fresh, "violations_total") == 0
    assert value(fresh, "latency_seconds_count") == 0
    assert total(fresh, "segments_total") == 0
    assert value(fresh, "characters_total", kind="residue") == value(fresh, "answer_tokens_total", kind="forced") == 0


def test_what_the_taxonomy_can_name_stands_at_zero(fresh: TestClient, pair: Pair) -> None:
    for leaf in pair.taxonomy.leaves[::100]:
        assert value(fresh, "segments_total", l1=leaf.path[0], team=leaf.team, emotion="neutral") == 0
        assert value(fresh, "reviews_total", team=leaf.team) == 0


@pytest.mark.parametrize(
    ("body", "outcome", "status"),
    [
        (b'{"comment": ""}', "comment_invalid", "422"),
        (json.dumps({"comment": "x" * 5001}).encode(), "comment_too_long", "413"),
        (b'{"comment": "caf\xe9"}', "request_invalid", "400"),
        (b"{}", "request_unreadable", "422"),
    ],
)
def test_a_refused_request_is_counted_and_has_no_latency(
    fresh: TestClient, body: bytes, outcome: str, status: str
) -> None:
    assert fresh.post("/v1/route", content=body).status_code == int(status)
    assert value(fresh, "requests_total", outcome=outcome, status=status) == 1
    assert total(fresh, "requests_total") == 1
    assert value(fresh, "latency_seconds_count") == 0


@pytest.mark.parametrize(
    ("end", "outcome", "status", "violations"),
    [
        (Decoded((), ()), "answer_invalid", "503", 1),
        (EngineFailed("no memory"), "engine_failed", "503", 0),
        (ZeroDivisionError("a bug"), "unexpected", "500", 0),
    ],
)
def test_a_failing_engine_is_counted_and_a_violation_twice(
    pair: Pair, end: Decoded | Exception, outcome: str, status: str, violations: int
) -> None:
    client, _ = app_with(pair, Failing(end))
    with client:
        assert client.post("/v1/route", json={"comment": TEXT}).status_code == int(status)
        assert value(client, "requests_total", outcome=outcome, status=status) == 1
        assert value(client, "violations_total") == violations
        assert value(client, "stage_seconds_count", stage="queue") == 1


async def test_the_queue_is_seen_while_comments_wait_and_empty_after(pair: Pair) -> None:
    gate = asyncio.Event()

    class Gated(ScriptedEngine):
        async def decode(self, task: Task) -> Decoded:
            await gate.wait()
            return await super().decode(task)

    metrics = Metrics(CollectorRegistry())
    engine = Gated(pair.automaton, lambda allowed: (allowed[0], 0.0))
    limits = limits_of(load_settings({}, max_num_seqs=2, max_waiting=7))
    router = Router(pair, engine, limits, 32_768, metrics)
    Active(router, metrics)
    seen: Read = metrics.registry.get_sample_value  # type: ignore[assignment]
    asked = [asyncio.create_task(router.route(TEXT)) for _ in range(5)]
    async with asyncio.timeout(30):
        while router.admission.waiting < 3:  # noqa: ASYNC110 (the queue offers no event)
            await asyncio.sleep(0)
    assert [seen(NAME + n) for n in ("queue_waiting", "turns_held", "queue_limit", "turns_limit")] == [3, 2, 7, 2]
    gate.set()
    await asyncio.gather(*asked)
    assert [seen(NAME + n) for n in ("queue_waiting", "turns_held")] == [0, 0]
    assert seen(NAME + "queue_expected_seconds") == 0


def test_a_wait_that_ends_at_the_deadline_is_timed_too(pair: Pair) -> None:
    class Endless(ScriptedEngine):
        async def decode(self, task: Task) -> Decoded:
            await asyncio.Event().wait()
            return await super().decode(task)

    client, _ = app_with(pair, Endless(pair.automaton, lambda allowed: (allowed[0], 0.0)))
    with client:
        assert client.post("/v1/route", json={"comment": TEXT, "deadline_ms": 20}).status_code == 504
        assert value(client, "requests_total", outcome="deadline_passed", status="504") == 1
        assert value(client, "stage_seconds_count", stage="queue") == 1
        assert value(client, "stage_seconds_count", stage="decode") == 1
        assert value(client, "turns_held") == 0


def test_the_active_pair_is_named_with_what_its_compilation_took(fresh: TestClient, pair: Pair) -> None:
    assert value(fresh, "pair_info", checkpoint=pair.checkpoint, taxonomy=pair.taxonomy.version) == 1
    assert value(fresh, "taxonomy_compile_seconds") == pair.compile_s > 0


def test_another_pair_replaces_the_first_one(pair: Pair, scripted_router: Router) -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.serving(pair, scripted_router.admission)
    other = replace(pair, model=replace(pair.model, checkpoint=CheckpointId("ck_other")))
    metrics.serving(other, scripted_router.admission)
    families = {family.name: family for family in metrics.registry.collect()}
    assert [s.labels["checkpoint"] for s in families[NAME + "pair"].samples] == ["ck_other"]


def test_a_taxonomy_with_very_many_l1_makes_no_more_series_than_the_cap(pair: Pair, scripted_router: Router) -> None:
    leaves = tuple(Leaf((f"L{n}", "a", "b", "c"), team=f"team {n}", workflow="w") for n in range(500))
    metrics = Metrics(CollectorRegistry())
    metrics.serving(replace(pair, taxonomy=Taxonomy(leaves)), scripted_router.admission)
    families = {family.name: family for family in metrics.registry.collect()}
    l1 = {s.labels["l1"] for s in families[NAME + "segments"].samples}
    assert len(l1) == MOST_VALUES + 1
    assert OTHER in l1


def test_latency_edges_are_exposed_as_the_rules_write_them(fresh: TestClient) -> None:
    text = fresh.get("/metrics").text
    edges = re.findall(r'route_feedback_latency_seconds_bucket\{le="([^"]+)"\}', text)
    assert edges == [*map(str, LATENCY_S), "+Inf"]


def test_openmetrics_is_given_to_who_asks_for_it(fresh: TestClient) -> None:
    asked = fresh.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_no_metric_holds_the_comment(fresh: TestClient) -> None:
    fresh.post("/v1/route", json={"comment": "Zebrafish came late.", "id": "order-99", "metadata": {"a": "b-77"}})
    assert not re.search("zebrafish|order-99|b-77", fresh.get("/metrics").text, re.IGNORECASE)


def test_every_metric_is_described(fresh: TestClient) -> None:
    page = Path("docs/operations/metrics.md").read_text()
    names = re.findall(r"# TYPE (route_feedback_\w+) (\w+)", fresh.get("/metrics").text)
    assert names
    for name, kind in names:
        assert f"`{name}`" in page or name.endswith("_created"), (name, kind)
