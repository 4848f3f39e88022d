"""What a panel shows, and the queries that panels are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

HERE: Final = 'namespace="$namespace",pod=~"$replica"'
ALL: Final = 'namespace="$namespace"'
"""Of what rules record for all pods together."""


class Chart(NamedTuple):
    """One panel: what it shows (queries by legend), in which unit, and from which values on it is bad."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    warn: float | None = None
    bad: float | None = None
    has_exemplars: bool = False


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Events a second, summed over pods."""
    inner = f"rate({_full(metric)}{{{HERE}{where}}}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def _full(metric: str) -> str:
    """Ours, where no other prefix is given."""
    return metric if ":" in metric else f"route_feedback_{metric}"


def share(part: str, whole: str) -> str:
    """Nothing where there is nothing to share."""
    return f"{part} / ({whole} > 0)"


def quantiles(metric: str, *quantile: float, by: str = "", where: str = "") -> dict[str, str]:
    """By legend; `by` is one more label."""
    legend = f"{{{{{by}}}}} " if by else ""
    labels = f"le, {by}" if by else "le"
    return {
        f"{legend}p{round(q * 100)}": f"histogram_quantile({q}, {rate(f'{metric}_bucket', labels, where)}) >= 0"
        for q in quantile
    }


def gauge(metric: str, where: str = "") -> str:
    return f"{_full(metric)}{{{HERE}{where}}}"


def of_pods(expression: str) -> str:
    """The process's own metrics, of our pods alone."""
    return f"{expression} and on (namespace, pod) route_feedback_pair_info"
