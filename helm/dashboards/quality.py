"""Panels of what the answers say: labels, how sure they are, and how both drift."""

from __future__ import annotations

from typing import Final

from helm.dashboards.charts import ALL, Chart, gauge, quantiles, rate, share

QUALITY: Final = {
    "Answers": [
        Chart("Segments", "By top-level label.", "short", {"{{l1}}": rate("segments_total", "l1")}),
        Chart("Teams", "Segments by the team that gets them.", "short", {"{{team}}": rate("segments_total", "team")}),
        Chart(
            "Emotions",
            "Share of the segments.",
            "percentunit",
            {
                "{{emotion}}": f"{rate('segments_total', 'emotion')} / ignoring (emotion) group_left () "
                f"({rate('segments_total')} > 0)"
            },
        ),
        Chart(
            "Segments of a comment", "Residue not counted.", "short", quantiles("segments_per_comment", 0.5, 0.95)
        ),
        Chart(
            "Residue",
            "Share of the text without feedback. A rise may be a subject that the taxonomy lacks.",
            "percentunit",
            {"residue": share(rate("characters_total", where=',kind="residue"'), rate("characters_total"))},
        ),
    ],
    "Certainty": [
        Chart(
            "Confidence",
            "Median probability of the path down to each level, of emotion and team; that residue holds no feedback.",
            "percentunit",
            quantiles("confidence", 0.5, by="level"),
        ),
        Chart(
            "For review",
            "Share of the segments that need a person.",
            "percentunit",
            {"for review": share(rate("reviews_total"), rate("segments_total"))},
            0.3,
            0.5,
        ),
        Chart(
            "Answers for review",
            "Share of the answers that need a person: for a segment, or for residue alone that may hold feedback.",
            "percentunit",
            {
                "{{because}}": f"{rate('answers_for_review_total', 'because')} / ignoring (because) group_left () "
                f"({rate('segments_per_comment_count')} > 0)"
            },
        ),
        Chart(
            "For review, by team", "Segments that need a person.", "short", {"{{team}}": rate("reviews_total", "team")}
        ),
    ],
    "Drift": [
        Chart(
            "Drift of L1",
            "Population stability index of the last day against the week before: over 0.1 some, over 0.25 much.",
            "short",
            {"PSI": f"route_feedback:l1_drift:psi1d{{{ALL}}}"},
            0.1,
            0.25,
        ),
        Chart(
            "What moved",
            "Share of each L1 in the last day less its share in the week before.",
            "percentunit",
            {
                "{{l1}}": f"route_feedback:l1_share:increase1d{{{ALL}}} "
                f"- route_feedback:l1_share_before:increase7d{{{ALL}}}"
            },
        ),
    ],
    "Constraint": [
        Chart(
            "Violations",
            "Answers outside the language of answers, refused. There should be none.",
            "short",
            {"{{pod}}": f"increase({gauge('violations_total')}[$__rate_interval])"},
            bad=0.5,
        ),
    ],
}  # fmt: skip
