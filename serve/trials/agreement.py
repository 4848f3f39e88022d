"""How much of a comment two answers label alike, whatever segments they cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from serve.routing.answer import Answer
from taxonomy.comments import Span
from taxonomy.labels import LEVELS

COMPARED: Final = (*LEVELS, "emotion")


def spans_of(answer: Answer) -> tuple[Span, ...]:
    """The answer's segments; the rest of its comment is residue."""
    return tuple(Span(s.start, s.end, s.leaf.path, s.part.emotion) for s in answer.segments)


def differing(one: Sequence[Span], other: Sequence[Span], length: int) -> dict[str, int]:
    """Code points that the two label differently: at each level by the path down to it, and by the emotion.

    Residue is a label too: a stretch that only one of them calls feedback differs at every level. length: the
    comment's.
    """
    edges = sorted({0, length, *(edge for span in (*one, *other) for edge in (span.start, span.end))})
    counts = dict.fromkeys(COMPARED, 0)
    for start, end in pairwise(edges):
        here, there = _names(one, start), _names(other, start)
        for level in COMPARED:
            counts[level] += (end - start) * (here.get(level) != there.get(level))
    return counts


def _names(spans: Sequence[Span], at: int) -> dict[str, object]:
    span = next((span for span in spans if span.start <= at < span.end), None)
    if span is None:
        return {}
    return {level: span.path[: depth + 1] for depth, level in enumerate(LEVELS)} | {"emotion": span.emotion}
