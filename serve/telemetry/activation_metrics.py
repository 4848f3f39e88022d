"""Metrics of activations, and of what this replica serves against what the registry says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info

from taxonomy.labels import CheckpointId

PHASE_S: Final = (0.01, 0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 86_400.0)


class ActivationMetrics:
    """What one service counts and times of its activations."""

    def __init__(self, registry: CollectorRegistry, phases: Sequence[str], ends: Iterable[tuple[str, str]]) -> None:
        """`phases`: first the one in which no activation is under way. `ends`: every outcome with every phase that an
        activation may end in; each stands at 0 from the start.
        """

        def named(name: str) -> str:
            return f"route_feedback_{name}"

        self._idle, *working = phases
        self._state = Enum(
            named("activation_phase"), "Phase of the activation under way.", states=list(phases), registry=registry
        )
        seconds = Histogram(
            named("activation_phase_seconds"),
            "How long each phase of an activation took, or lasted until it failed.",
            ["phase"],
            buckets=PHASE_S,
            registry=registry,
        )
        self._seconds: dict[str, Histogram] = {phase: seconds.labels(phase) for phase in working}
        self._ended = Counter(
            named("activations"),
            "Activations by how and in which phase they ended.",
            ["outcome", "phase"],
            registry=registry,
        )
        for end in ends:
            self._ended.labels(*end)
        self._skew = Gauge(
            named("checkpoint_skew"),
            "1 while this replica serves another checkpoint than the registry says.",
            registry=registry,
        )
        self._registry_active = Info(
            named("registry_active"),
            "The registry's active checkpoint, as this replica read it last.",
            registry=registry,
        )
        reads = Counter(
            named("registry_reads"),
            "Looks at the registry for another active checkpoint.",
            ["outcome"],
            registry=registry,
        )
        self._reads = {outcome: reads.labels(outcome) for outcome in ("read", "failed")}
        self._phase, self._since = self._idle, 0.0

    def entered(self, phase: str) -> None:
        """The activation is in this phase from now on."""
        now = time.monotonic()
        if self._phase != self._idle:
            self._seconds[self._phase].observe(now - self._since)
        self._phase, self._since = phase, now
        self._state.state(phase)

    def ended(self, outcome: str, phase: str) -> None:
        """Count an activation."""
        self._ended.labels(outcome, phase).inc()

    def watch_skew(self, is_skewed: Callable[[], bool]) -> None:
        """Ask this, whenever the metrics are read."""
        self._skew.set_function(lambda: float(is_skewed()))

    def registry_read(self, outcome: Literal["read", "failed"]) -> None:
        """Count a look at the registry."""
        self._reads[outcome].inc()

    def registry_active(self, checkpoint: CheckpointId | None) -> None:
        """What was read there, or written."""
        self._registry_active.info({"checkpoint": checkpoint or ""})
