"""What answers say, as metrics: segments by L1, team and emotion, confidence, forced tokens. No label holds a leaf."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from serve.routing.answer import Answer
from taxonomy.checkpoint.calibration import RESIDUE
from taxonomy.labels import EMOTIONS, LEVELS, TEAM
from taxonomy.tree import Taxonomy

CONFIDENCE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SEGMENTS: Final = (0, 1, 2, 3, 4, 5, 8, 12, 16, 32, 64)
MOST_VALUES: Final = 64
"""Of a label that the taxonomy names; the values beyond share OTHER."""
OTHER: Final = "(other)"


class AnswerMetrics:
    """What the answers of one service say, counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._segments_per_comment = Histogram(
            "route_feedback_segments_per_comment",
            "Segments of an answer, residue not counted.",
            buckets=SEGMENTS,
            registry=registry,
        )
        self._segments = Counter(
            "route_feedback_segments", "Segments by L1, team and emotion.", ["l1", "team", "emotion"], registry=registry
        )
        self._reviews = Counter(
            "route_feedback_reviews",
            "Segments whose confidence asks for a person, by team.",
            ["team"],
            registry=registry,
        )
        self._answers_for_review = Counter(
            "route_feedback_answers_for_review",
            "Answers that ask for a person: because a segment does, or residue alone.",
            ["because"],
            registry=registry,
        )
        self._characters = Counter(
            "route_feedback_characters",
            "Code points of answered comments, in segments or residue.",
            ["kind"],
            registry=registry,
        )
        self._tokens = Counter(
            "route_feedback_answer_tokens",
            "Tokens of answers: decided by the model, or forced by the constraint.",
            ["kind"],
            registry=registry,
        )
        self._confidence = Histogram(
            "route_feedback_confidence",
            "Probability of each level's path, of emotion and team, by segment; and that residue holds no feedback.",
            ["level"],
            buckets=CONFIDENCE,
            registry=registry,
        )
        for kind in ("segment", "residue"):
            self._characters.labels(kind)
            self._answers_for_review.labels(kind)
        for kind in ("decided", "forced"):
            self._tokens.labels(kind)
        self._kept: dict[str, set[str]] = {"l1": set(), "team": set()}

    def serving(self, taxonomy: Taxonomy) -> None:
        """From now on answers are in this taxonomy; what it can name is there at 0."""
        leaves = taxonomy.leaves
        self._kept = {"l1": _first(leaf.path[0] for leaf in leaves), "team": _first(leaf.team for leaf in leaves)}
        for l1, team in {(leaf.path[0], leaf.team) for leaf in leaves}:
            self._reviews.labels(self._capped("team", team))
            for emotion in EMOTIONS:
                self._segments.labels(self._capped("l1", l1), self._capped("team", team), emotion)
        for level in (*LEVELS[: taxonomy.depth], "emotion", TEAM, RESIDUE):
            self._confidence.labels(level)

    def count(self, answer: Answer) -> None:
        """What one answer says."""
        self._segments_per_comment.observe(len(answer.segments))
        self._tokens.labels("decided").inc(answer.decided)
        self._tokens.labels("forced").inc(answer.forced)
        self._characters.labels("residue").inc(sum(part.end - part.start for part in answer.residue))
        self._characters.labels("segment").inc(sum(part.end - part.start for part in answer.segments))
        if answer.needs_review:
            of_segments = any(segment.needs_review for segment in answer.segments)
            self._answers_for_review.labels("segment" if of_segments else "residue").inc()
        for residue in answer.residue:
            self._confidence.labels(RESIDUE).observe(residue.confidence)
        for segment in answer.segments:
            team = self._capped("team", segment.leaf.team)
            self._segments.labels(self._capped("l1", segment.leaf.path[0]), team, segment.part.emotion).inc()
            if segment.needs_review:
                self._reviews.labels(team).inc()
            for level, probability in segment.confidence.items():
                self._confidence.labels(level).observe(probability)

    def _capped(self, label: str, value: str) -> str:
        return value if value in self._kept[label] else OTHER


def _first(values: Iterable[str]) -> set[str]:
    return set(list(dict.fromkeys(values))[:MOST_VALUES])
