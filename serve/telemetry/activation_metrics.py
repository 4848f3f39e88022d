"""Metrics of activations, and of what this replica serves against what the registry says."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info

from serve.activation.phases import NEXT, Phase
from taxonomy.labels import CheckpointId

PHASE_S: Final = (0.01, 0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 86_400.0)
ENDS: Final = (
    ("active", Phase.RETIRING),
    ("stopped", Phase.TRYING),
    *(("failed", phase) for phase in Phase if Phase.RETURNING in NEXT[phase]),
)
"""How an activation ends, and in which phase."""


class ActivationMetrics:
    """What one service counts and times of its activations. reads: its looks at the registry, by outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def named(name: str) -> str:
            return f"route_feedback_{name}"

        self._state = Enum(
            named("swap_phase"), "Phase of the activation under way.", states=list(Phase), registry=registry
        )
        took = Histogram(
            named("swap_phase_seconds"),
            "How long each phase of an activation took, or lasted until it failed.",
            ["phase"],
            buckets=PHASE_S,
            registry=registry,
        )
        self._seconds: dict[Phase, Histogram] = {
            phase: took.labels(phase) for phase in Phase if phase is not Phase.IDLE
        }
        self._ended = Counter(
            named("swaps"), "Activations by how and in which phase they ended.", ["outcome", "phase"], registry=registry
        )
        for end in ENDS:
            self._ended.labels(*end)
        self._skew = Gauge(
            named("version_skew"),
            "1 while this replica serves another version than the registry says.",
            registry=registry,
        )
        self._says = Info(
            named("registry_active"), "The registry's active version, as this replica read it last.", registry=registry
        )
        reads = Counter(
            named("registry_reads"), "Looks at the registry for another active version.", ["outcome"], registry=registry
        )
        self.reads = {outcome: reads.labels(outcome) for outcome in ("read", "failed")}
        self._phase, self._since = Phase.IDLE, 0.0
        self._serving: CheckpointId | None = None
        self._active: CheckpointId | None = None
        self._skew.set_function(lambda: float(self.is_skewed))

    @property
    def is_skewed(self) -> bool:
        """Whether the registry, as it was read last, says that another version should serve here."""
        return self._active is not None and self._active != self._serving

    def went(self, phase: Phase) -> None:
        """The activation is in this phase from now on."""
        now = time.monotonic()
        if self._phase is not Phase.IDLE:
            self._seconds[self._phase].observe(now - self._since)
        self._phase, self._since = phase, now
        self._state.state(phase)

    def ended(self, outcome: str, phase: Phase) -> None:
        """Count an activation."""
        self._ended.labels(outcome, phase).inc()

    def serving(self, checkpoint: CheckpointId) -> None:
        """From now on this replica answers with it."""
        self._serving = checkpoint

    def registry_says(self, checkpoint: CheckpointId | None) -> None:
        """What was read there, or written."""
        self._active = checkpoint
        self._says.info({"checkpoint": checkpoint or ""})
