"""The metrics that engines keep of themselves, of all engines of a process together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from taxonomy.labels import CheckpointId

NAMED: Final = "model_name"
"""vLLM's label for what an engine serves. It would be a path; here it is the checkpoint."""


class Engines(Collector):
    """Each family once, with the series of every engine: two live beside each other during an activation."""

    def __init__(self) -> None:
        self._serving: dict[CollectorRegistry, CheckpointId] = {}

    def add(self, registry: CollectorRegistry, checkpoint: CheckpointId) -> None:
        """Show an engine's metrics under its checkpoint; of two engines on the same, those of the later."""
        self._serving[registry] = checkpoint

    def remove(self, registry: CollectorRegistry) -> None:
        """Show them no longer; may be called twice."""
        self._serving.pop(registry, None)

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        # Engines come and go in other threads.
        latest = {checkpoint: registry for registry, checkpoint in list(self._serving.items())}
        for checkpoint, registry in latest.items():
            for family in registry.collect():
                samples = [s._replace(labels=s.labels | {NAMED: checkpoint}) for s in family.samples]
                families.setdefault(family.name, _empty(family)).samples += samples
        return families.values()


def _empty(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type, family.unit)
