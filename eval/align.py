"""Which predicted segment answers which gold one: a one-to-one matching inside a comment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from taxonomy.comments import Span

MIN_IOU: Final = 0.5


class Pair(NamedTuple):
    """A matched gold and predicted segment."""

    gold: Span
    predicted: Span


def align(gold: Sequence[Span], predicted: Sequence[Span]) -> list[Pair]:
    """Maximum-weight matching on the segments' character IoU; pairs under MIN_IOU are no match."""
    if not gold or not predicted:
        return []
    overlaps = np.array([[iou(g, p) for p in predicted] for g in gold])
    weights = np.where(overlaps >= MIN_IOU, overlaps, 0.0)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [Pair(gold[r], predicted[c]) for r, c in zip(rows, columns, strict=True) if weights[r, c] > 0]


def iou(one: Span, other: Span) -> float:
    """Characters in both over characters in either."""
    both = max(0, min(one.end, other.end) - max(one.start, other.start))
    return both / ((one.end - one.start) + (other.end - other.start) - both)
