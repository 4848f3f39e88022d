"""What it costs to observe is measured on two services that differ in nothing else."""

from __future__ import annotations

import os

import pytest

from eval.bench.observing import SYSTEMS, WITH, WITHOUT, ObservingPlan, Round, Unobserved, _figures, observing
from serve.engine.protocol import ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from serve.telemetry.metrics import Metrics

TEXTS = ["I bought it in May. The picture is blurry.", "It came late."]


async def test_both_are_asked_the_same_and_only_one_is_observed(
    pair: Pair, scripted: ScriptedEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT", "")  # the benchmark names its own; put back after
    started: list[Metrics] = []

    async def start(metrics: Metrics) -> Router:
        started.append(metrics)
        return Router(pair, scripted, limits_of(settings), 32_768, metrics)

    plan = ObservingPlan(seconds=0.1, rounds=3, concurrency=4)
    figures = await observing(TEXTS, start, plan, lambda _: None)
    assert [row.system for row in figures.rows] == list(SYSTEMS)
    assert all(len(row.rounds) == 3 for row in figures.rows)
    assert figures.ratio.low <= figures.ratio.median <= figures.ratio.high
    assert figures.spans_bytes > 0

    def answered(metrics: Metrics) -> float:
        samples = [s for family in metrics.registry.collect() for s in family.samples]
        return sum(s.value for s in samples if s.name == "route_feedback_segments_per_comment_count")

    without, observed = started
    assert isinstance(without, Unobserved)
    assert answered(without) == 0 < answered(observed)


def test_the_ratio_is_that_of_rounds_side_by_side() -> None:
    rounds = {WITH: [Round(98, 1, 0.5), Round(49, 1, 0.5)], WITHOUT: [Round(100, 1, 0.4), Round(50, 1, 0.4)]}
    figures = _figures(rounds, ObservingPlan(), 0)
    assert figures.ratio.median == pytest.approx(0.98)
    assert figures.ratio.low == figures.ratio.high == pytest.approx(0.98)
    assert figures.rows[0].cpu_ms_per_answer == pytest.approx((500 / 98 + 500 / 49) / 2, abs=1e-3)
