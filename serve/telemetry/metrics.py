"""Every metric of the service, on a registry that is passed in. No label holds a leaf or a customer's text.

What is timed is a span too, for the tracer that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.trace import Tracer, get_current_span
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from serve.engine.collector import Engines
from serve.routing.admission import Admission
from serve.routing.answer import Answer
from serve.routing.pair import Pair
from serve.telemetry.activation_metrics import ActivationMetrics
from serve.telemetry.answer_metrics import AnswerMetrics
from serve.telemetry.traces import NO_TRACER, span
from serve.telemetry.trial_metrics import TrialMetrics

LATENCY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Edges of the latency; an objective for it must be one of them."""
STAGE_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, *LATENCY_S)
SPAN: Final = "route_feedback."
"""What attributes of spans begin with."""
STAGES: Final = ("queue", "prepare", "decode", "read")
CONSTRAINT_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)


class Metrics:
    """What one service counts and times. engines: what they tell of themselves; it stands on the same page."""

    def __init__(self, registry: CollectorRegistry, tracer: Tracer = NO_TRACER) -> None:
        def named(name: str) -> str:
            return f"route_feedback_{name}"

        self.registry = registry
        self.tracer = tracer
        self.engines = Engines()
        registry.register(self.engines)
        self.swaps = ActivationMetrics(registry)
        self.trials = TrialMetrics(registry)
        self._answers = AnswerMetrics(registry)
        self.requests = Counter(
            named("requests"), "POST /v1/route by how it ended.", ["outcome", "status"], registry=registry
        )
        self.latency = Histogram(
            named("latency_seconds"),
            "From the request to its answer, of requests that were answered.",
            buckets=LATENCY_S,
            registry=registry,
        )
        self._stages = Histogram(
            named("stage_seconds"),
            "Parts of the latency: queue (waiting for a turn), prepare (cutting, prompt and tokens), decode (the "
            "engine), read (tokens into segments). Requests that failed in a stage are in it too.",
            ["stage"],
            buckets=STAGE_S,
            registry=registry,
        )
        constraint = Histogram(
            named("constraint_seconds"),
            "What the constraint takes of an answer: compile (the comment's pieces in tokens; part of prepare), masks "
            "(making them and advancing; part of decode).",
            ["kind"],
            buckets=CONSTRAINT_S,
            registry=registry,
        )
        self.compiling, self.masking = constraint.labels("compile"), constraint.labels("masks")
        self._of_stage = {stage: self._stages.labels(stage) for stage in STAGES}
        self.violations = Counter(
            named("violations"), "Engine answers that are none in the language of answers (refused).", registry=registry
        )
        self._waiting = Gauge(named("queue_waiting"), "Comments waiting for a turn.", registry=registry)
        self._waiting_limit = Gauge(named("queue_limit"), "Comments that may wait.", registry=registry)
        self._wait = Gauge(
            named("queue_expected_seconds"), "How long a newcomer would wait, by the answers so far.", registry=registry
        )
        self._turns = Gauge(named("turns_held"), "Comments with the engine now.", registry=registry)
        self._turns_limit = Gauge(named("turns_limit"), "Comments that the engine takes at once.", registry=registry)
        self._pair = Info(named("pair"), "The active checkpoint and taxonomy.", registry=registry)
        self._compile = Gauge(
            named("taxonomy_compile_seconds"),
            "How long the active taxonomy's automaton took, compiled or read from disk.",
            registry=registry,
        )

    def serving(self, pair: Pair, admission: Admission) -> None:
        """From now on this pair answers, and this is the queue; what the pair can name is there at 0."""
        self._pair.info({"checkpoint": pair.checkpoint, "taxonomy": pair.taxonomy.version})
        self._compile.set(pair.compile_s)
        self.swaps.serving(pair.checkpoint)
        self._waiting.set_function(lambda: admission.waiting)
        self._waiting_limit.set(admission.limit)
        self._wait.set_function(lambda: admission.wait_s)
        self._turns.set_function(lambda: admission.held)
        self._turns_limit.set(admission.at_once)
        self._answers.serving(pair.taxonomy)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """One of the STAGES of an answer."""
        with span(self.tracer, name), self._of_stage[name].time():
            yield

    def answered(self, answer: Answer) -> None:
        """Count what one answer says."""
        told = {"segments": len(answer.segments), "decided": answer.decided, "forced": answer.forced}
        get_current_span().set_attributes({f"{SPAN}{name}": value for name, value in told.items()})
        self._answers.count(answer)
