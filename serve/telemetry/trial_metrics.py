"""Metrics of a candidate on trial, beside the active pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Arm = Literal["active", "candidate"]
Mode = Literal["shadow", "canary"]
ARMS: Final[tuple[Arm, ...]] = get_args(Arm)
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
ENGINE_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class TrialMetrics:
    """share, requests, copies, characters, decisions and engine_s: the series, by their labels."""

    def __init__(self, registry: CollectorRegistry, levels: Iterable[str]) -> None:
        """`levels`: what two answers are compared on."""

        def counter(name: str, description: str, *labels: str) -> Counter:
            return Counter(f"route_feedback_{name}", description, labels, registry=registry)

        share = Gauge(
            "route_feedback_trial_share",
            "Share of the requests that go to the candidate (canary), or to it as copies (shadow).",
            ["mode"],
            registry=registry,
        )
        self.share = {mode: share.labels(mode) for mode in MODES}
        requests = counter("trial_requests", "Requests during a canary, by who answered and how.", "arm", "outcome")
        self.requests = {
            (arm, outcome): requests.labels(arm, outcome)
            for arm in ARMS
            for outcome in ("answered", "failed", "violation")
        }
        copies = counter("shadow_copies", "Copies of requests for the candidate, by what became of them.", "outcome")
        self.copies = {outcome: copies.labels(outcome) for outcome in ("compared", "failed", "violation", "dropped")}
        characters = counter(
            "shadow_characters",
            "Code points of compared comments, by whether both pairs label them alike down to the level.",
            "level",
            "labels",
        )
        self.characters = {
            (level, labels): characters.labels(level, labels) for level in levels for labels in ("same", "different")
        }
        decisions = counter("trials", "Trials by how they ended.", "decision")
        self.decisions = {decision: decisions.labels(decision) for decision in ("promoted", "rejected", "stopped")}
        engine_s = Histogram(
            "route_feedback_trial_engine_seconds",
            "Time of the engine for one answer during a trial, by who answered; in a shadow both the same comments.",
            ["arm"],
            buckets=ENGINE_S,
            registry=registry,
        )
        self.engine_s = {arm: engine_s.labels(arm) for arm in ARMS}
