"""Gold segments that may be labelled in more than one way, scored by the way that the prediction took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eval.scoring.matched import Predicted, matched
from taxonomy.comments import LabelledComment, Span
from taxonomy.labels import LabelPath


@dataclass(frozen=True, slots=True)
class AlternativeCounts:
    """Gold segments that have other right paths, and those of them that are scored by one."""

    segments: int
    taken: int

    def __str__(self) -> str:
        return f"{self.segments} gold segments have other right paths, {self.taken} are scored by one of them"


@dataclass(frozen=True, slots=True)
class GoldAsTaken:
    """The gold comments by the right paths that were taken, and how many there were to take."""

    comments: list[LabelledComment]
    counts: AlternativeCounts


def as_taken(gold: Sequence[LabelledComment], predicted: Sequence[Predicted]) -> GoldAsTaken:
    """Each aligned gold segment by that of its paths which agrees deepest with the prediction's, its own before others.

    So it is right at a level where any of them agrees down to it. A segment without a partner keeps its own. Both are
    in the same order of comments; raises ValueError where ids differ.
    """
    pairs = matched(gold, predicted).pairs
    spans = [span for comment in gold for span in comment.segments]
    given = [segment.path for prediction in predicted for segment in prediction.segments]
    taken = list(spans)
    for row, answer in zip(pairs.gold.tolist(), pairs.predicted.tolist(), strict=True):
        taken[row] = replace(spans[row], path=_nearest(spans[row], given[answer]))
    counts = AlternativeCounts(
        segments=sum(bool(span.alternatives) for span in spans),
        taken=sum(before.path != after.path for before, after in zip(spans, taken, strict=True)),
    )
    each = iter(taken)
    return GoldAsTaken([replace(one, segments=tuple(next(each) for _ in one.segments)) for one in gold], counts)


def _nearest(gold: Span, predicted: LabelPath) -> LabelPath:
    return max((gold.path, *gold.alternatives), key=lambda path: (_levels(path, predicted), path == predicted))


def _levels(one: LabelPath, other: LabelPath) -> int:
    """From L1 down, how many are equal."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
