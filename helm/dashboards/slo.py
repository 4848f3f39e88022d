"""Panels of the objectives: how fast their error budgets are spent."""

from __future__ import annotations

from typing import Final

from helm.dashboards.charts import ALL, Chart


def burns(name: str) -> dict[str, str]:
    allowed = f"on (namespace, job) group_left () route_feedback:{name}:allowed{{{ALL}}}"
    return {
        window: f"route_feedback:{name}:ratio_rate{window}{{{ALL}}} / {allowed}" for window in ("5m", "1h", "6h", "3d")
    }


SLO: Final = {
    title: [
        Chart(
            f"{title}: burn",
            "How many times faster than it lasts the error budget is spent. Alerts: 14.4 for an hour, 6 for six, 1 for "
            "three days.",
            "short",
            burns(name),
            1,
            6,
        ),
        Chart(
            f"{title}: missed",
            f"Share of the requests that were {name}, and what the objective allows.",
            "percentunit",
            {
                "of the last 3 days": f"route_feedback:{name}:ratio_rate3d{{{ALL}}}",
                "allowed": f"route_feedback:{name}:allowed{{{ALL}}}",
            },
        ),
    ]
    for title, name in (("Availability", "unavailable"), ("Latency", "late"))
}
