"""What operators see of activations, of several replicas, and of a candidate on trial."""

from __future__ import annotations

from typing import Final

from helm.dashboards.charts import Chart, gauge, rate

_PHASE: Final = "route_feedback_activation_phase"
"""A state set's label is named as its metric."""
_DIFFERENT: Final = ',labels="different"'


def _increase(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({gauge(metric)}[$__rate_interval]))"


ACTIVATIONS: Final = {
    "Activations": [
        Chart(
            "Activations",
            "By how and in which phase they ended. Failed while resolving or checking: refused, nothing was begun.",
            "short",
            {"{{outcome}} {{phase}}": _increase("activations_total", "outcome, phase")},
        ),
        Chart(
            "Phase",
            "Pods by the phase of their activation; idle where there is none, trying during a canary or shadow.",
            "short",
            {f"{{{{{_PHASE}}}}}": f"sum by ({_PHASE}) ({gauge('activation_phase')})"},
        ),
        Chart(
            "Time of the phases",
            "Seconds that activations took in each phase, counted when it ends.",
            "s",
            {"{{phase}}": _increase("activation_phase_seconds_sum", "phase")},
        ),
    ],
    "Replicas": [
        Chart(
            "Checkpoint skew",
            "1 where a pod serves another checkpoint than the registry says: for a while after each activation.",
            "short",
            {"{{pod}}": gauge("checkpoint_skew")},
            warn=0.5,
        ),
        Chart(
            "Checkpoints",
            "Pods by the checkpoint that they answer with.",
            "short",
            {"{{checkpoint}}": f"count by (checkpoint) ({gauge('pair_info')})"},
        ),
        Chart(
            "Looks at the registry",
            "Read or failed; a pod that cannot read it serves on, and does not follow.",
            "ops",
            {"{{outcome}}": rate("registry_reads_total", "outcome")},
        ),
    ],
    "Trial": [
        Chart(
            "Share of the candidate",
            "Of the pod's requests (canary) or of copies of them (shadow); 0 without a trial.",
            "percentunit",
            {"{{mode}} {{pod}}": gauge("trial_share")},
        ),
        Chart(
            "Requests in a canary",
            "By who had them and how they ended.",
            "reqps",
            {"{{arm}} {{outcome}}": rate("trial_requests_total", "arm, outcome")},
        ),
        Chart(
            "Copies in a shadow",
            "By what became of them; dropped are those that there was no room for.",
            "reqps",
            {"{{outcome}}": rate("shadow_copies_total", "outcome")},
        ),
        Chart(
            "Disagreement",
            "Share of the copied text that candidate and active pair label differently; 0 where nothing is copied.",
            "percentunit",
            {
                "{{level}}": f"{rate('shadow_characters_total', 'level', _DIFFERENT)} "
                f"/ clamp_min({rate('shadow_characters_total', 'level')}, 1e-9)"
            },
        ),
        Chart(
            "Trials",
            "Those that ended, by the decision.",
            "short",
            {"{{decision}}": _increase("trials_total", "decision")},
        ),
    ],
}
