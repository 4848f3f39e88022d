"""Every metric of the service's answers, on a registry that is passed in. No label holds a leaf or a customer's text.

What is timed is a span too, for the tracer that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from opentelemetry.trace import Tracer, get_current_span
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from serve.engine.collector import Engines
from serve.routing.admission import Admission
from serve.routing.answer import Answer
from serve.routing.observer import STAGES, Stage
from serve.routing.pair import Pair
from serve.telemetry.answer_metrics import AnswerMetrics
from serve.telemetry.traces import NO_TRACER, span
from taxonomy.labels import CheckpointId

LATENCY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Edges of the latency; an objective for it must be one of them."""
STAGE_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, *LATENCY_S)
SPAN: Final = "route_feedback."
"""What attributes of spans begin with."""
CONSTRAINT_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)


class Metrics:
    """What one service counts and times of its answers; an observer of its routers.

    engines: what they report of themselves, which stands on the same page. tracer: makes spans of what is timed.
    """

    def __init__(self, registry: CollectorRegistry, tracer: Tracer = NO_TRACER) -> None:
        def named(name: str) -> str:
            return f"route_feedback_{name}"

        self.registry = registry
        self.tracer = tracer
        self.engines = Engines()
        registry.register(self.engines)
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
        self._compiling, self._masking = constraint.labels("compile"), constraint.labels("masks")
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
        self._waiting.set_function(lambda: admission.waiting)
        self._waiting_limit.set(admission.limit)
        self._wait.set_function(lambda: admission.wait_s)
        self._turns.set_function(lambda: admission.held)
        self._turns_limit.set(admission.at_once)
        self._answers.serving(pair.taxonomy)

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        """A stage of an answer."""
        return self._timed(name)

    @contextmanager
    def _timed(self, name: Stage) -> Iterator[None]:
        with span(self.tracer, name), self._of_stage[name].time():
            yield

    def compiling(self) -> AbstractContextManager[None]:
        """The cutting of a comment into tokens."""
        timer: AbstractContextManager[None] = self._compiling.time()
        return timer

    def masked(self, seconds: float) -> None:
        """What the engine spent on the constraint of one answer."""
        self._masking.observe(seconds)

    def answered(self, checkpoint: CheckpointId, answer: Answer) -> None:
        """Count what one answer says."""
        attributes: dict[str, str | int] = {
            f"{SPAN}checkpoint": checkpoint,
            f"{SPAN}segments": len(answer.segments),
            f"{SPAN}decided": answer.decided,
            f"{SPAN}forced": answer.forced,
        }
        get_current_span().set_attributes(attributes)
        self._answers.count(answer)
