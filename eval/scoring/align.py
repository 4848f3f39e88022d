"""Which predicted segment answers which gold one: a one-to-one matching inside each comment.

`align` is the definition, for one comment. `aligned` gives the same pairs for many comments at once, in arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.scoring.columns import Columns, Numbers


class Stretch(Protocol):
    """Code points of a comment, from start up to end."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class MatchedSegments(NamedTuple):
    """The positions of a matched gold and predicted segment."""

    gold: int
    predicted: int


class MatchedRows(NamedTuple):
    """Rows of the gold and of the predicted columns that are matched."""

    gold: Numbers
    predicted: Numbers


def align(gold: Sequence[Stretch], predicted: Sequence[Stretch]) -> list[MatchedSegments]:
    """Maximum-weight matching on the segments' character IoU; pairs under one half are no match."""
    if not gold or not predicted:
        return []
    weights = np.array([[iou(g, p) for p in predicted] for g in gold])
    weights[weights < 0.5] = 0  # noqa: PLR2004 (the definition's half)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [MatchedSegments(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if weights[r, c] > 0]


def iou(one: Stretch, other: Stretch) -> float:
    """Characters in both over characters in either; 0 where one is empty."""
    both = max(0, min(one.end, other.end) - max(one.start, other.start))
    return both / ((one.end - one.start) + (other.end - other.start) - both) if both else 0.0


def aligned(gold: Columns, predicted: Columns) -> MatchedRows:
    """The pairs of `align` for every comment. Gold segments are disjoint and in order; predicted ones need not be.

    Where segments are disjoint an IoU over one half has no rival, so a pair that shares neither segment with another
    candidate is matched at once. Only comments with rivals (halves exactly, overlapping predictions) are solved.
    """
    near = overlapping(gold, predicted)
    both = shared(gold, predicted, near)
    either = gold.lengths[near.gold] + predicted.lengths[near.predicted] - both
    half = 2 * both >= either
    pairs = MatchedRows(near.gold[half], near.predicted[half])
    rivals = (np.bincount(pairs.gold, minlength=gold.size)[pairs.gold] > 1) | (
        np.bincount(pairs.predicted, minlength=predicted.size)[pairs.predicted] > 1
    )
    unsettled = np.unique(gold.comment[pairs.gold[rivals]])
    settled = ~np.isin(gold.comment[pairs.gold], unsettled)
    solved = [_solved(gold, predicted, int(comment)) for comment in unsettled]
    return MatchedRows(
        np.concatenate([pairs.gold[settled], *(pairs.gold for pairs in solved)]),
        np.concatenate([pairs.predicted[settled], *(pairs.predicted for pairs in solved)]),
    )


def overlapping(gold: Columns, predicted: Columns) -> MatchedRows:
    """Every gold and predicted segment that share a character."""
    first = np.searchsorted(gold.end, predicted.start, side="right")
    past = np.searchsorted(gold.start, predicted.end, side="left")
    counts = np.maximum(past - first, 0)
    before = np.cumsum(counts) - counts
    return MatchedRows(
        np.arange(counts.sum()) + np.repeat(first - before, counts),
        np.repeat(np.arange(predicted.size), counts),
    )


def shared(gold: Columns, predicted: Columns, pairs: MatchedRows) -> Numbers:
    """Of each pair, how many characters are in both."""
    begin = np.maximum(gold.start[pairs.gold], predicted.start[pairs.predicted])
    end = np.minimum(gold.end[pairs.gold], predicted.end[pairs.predicted])
    both: Numbers = end - begin
    return both


def _solved(gold: Columns, predicted: Columns, comment: int) -> MatchedRows:
    own_gold, own_predicted = gold.rows_of(comment), predicted.rows_of(comment)
    pairs = align([_Place(*gold.span(r)) for r in own_gold], [_Place(*predicted.span(r)) for r in own_predicted])
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return MatchedRows(own_gold[chosen[:, 0]], own_predicted[chosen[:, 1]])


class _Place(NamedTuple):
    start: int
    end: int
