"""Panels of the service: what becomes of requests, where their time goes, and what the process takes."""

from __future__ import annotations

from typing import Final

from helm.dashboards.charts import HERE, Chart, gauge, of_pods, quantiles, rate, share

SERVICE: Final = {
    "Requests": [
        Chart("Requests", "By how they ended.", "reqps", {"{{outcome}}": rate("requests_total", "outcome")}),
        Chart(
            "Unavailable",
            "Share that ended in 500 or 503, of those that the service had to answer.",
            "percentunit",
            {
                "unavailable": share(
                    rate("requests_total", where=',status=~"500|503"'),
                    rate("requests_total", where=',status=~"200|500|503"'),
                )
            },
            0.005,
            0.05,
        ),
        Chart(
            "Latency",
            "From request to answer. The dots are single requests, which lead to their traces where there are any.",
            "s",
            quantiles("latency_seconds", 0.5, 0.95, 0.99),
            1,
            3,
            has_exemplars=True,
        ),
        Chart("Stages", "Where the time of an answer goes.", "s", quantiles("stage_seconds", 0.95, by="stage")),
    ],
    "Queue": [
        Chart(
            "Waiting",
            "Comments that wait for a turn; at the limit more are refused.",
            "short",
            {"{{pod}}": gauge("queue_waiting"), "limit {{pod}}": gauge("queue_limit")},
        ),
        Chart(
            "Expected wait",
            "Of a newcomer. What scales the pods.",
            "s",
            {"{{pod}}": gauge("queue_expected_seconds")},
            1,
            3,
        ),
        Chart(
            "Turns held",
            "Comments with the engine; at the limit others wait.",
            "short",
            {"{{pod}}": gauge("turns_held"), "limit {{pod}}": gauge("turns_limit")},
        ),
    ],
    "Process": [
        Chart(
            "CPU",
            "Of the service's process; the engine's core, where it is a process of its own, is not in it.",
            "short",
            {"{{pod}}": of_pods(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])")},
        ),
        Chart(
            "Memory", "Resident, of the same.", "bytes",
            {"{{pod}}": of_pods(f"process_resident_memory_bytes{{{HERE}}}")},
        ),
        Chart(
            "Active pair",
            "Pods by the checkpoint and taxonomy that they answer with: more than one line is a roll-out, or skew.",
            "short",
            {"{{checkpoint}} {{taxonomy}}": f"count by (checkpoint, taxonomy) ({gauge('pair_info')})"},
        ),
        Chart(
            "Taxonomy compiled",
            "How long the automaton took at the start, compiled or read from disk.",
            "s",
            {"{{pod}}": gauge("taxonomy_compile_seconds")},
        ),
    ],
}  # fmt: skip
