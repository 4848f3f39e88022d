"""The one file that knows vLLM's statistics: its own Prometheus metrics, on a registry of each engine's own.

vLLM registers them in the process's one registry and throws out those of an engine before: with two engines, the one
that serves would vanish from the page when another is tried.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from vllm.distributed.ec_transfer.ec_connector.metrics import ECConnectorProm
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorProm
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.perf import PerfMetricsProm
from vllm.v1.spec_decode.metrics import SpecDecodingProm

_KINDS: Final = {"_gauge_cls": Gauge, "_counter_cls": Counter, "_histogram_cls": Histogram}
_PARTS: Final = {
    "_spec_decoding_cls": SpecDecodingProm,
    "_kv_connector_cls": KVConnectorProm,
    "_ec_connector_cls": ECConnectorProm,
    "_perf_metrics_cls": PerfMetricsProm,
}


def stat_logger(registry: CollectorRegistry) -> Any:
    """The class of vLLM's Prometheus logger, whose metrics stand in this registry."""
    parts = {name: _on(registry, part) for name, part in _PARTS.items()}
    return _on(registry, PrometheusStatLogger, **parts)


def _on(registry: CollectorRegistry, base: Any, **more: Any) -> Any:
    kinds = {name: staticmethod(partial(kind, registry=registry)) for name, kind in _KINDS.items()}
    return type(base.__name__, (base,), kinds | more)
