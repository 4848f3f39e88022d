"""Counts and the rates that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eval.scoring.columns import Numbers

DRAWS: Final = 2000


@dataclass(frozen=True, slots=True)
class Rates:
    """None where nothing was predicted, where nothing is gold, where neither."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Right ones, predicted ones, gold ones; P, R and F1 follow. A rate over nothing is None, never 0."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float | None:
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.right / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        both = self.predicted + self.gold
        return 2 * self.right / both if both else None

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def rates(self) -> Rates:
        return Rates(self.precision, self.recall, self.f1)


def resampled(counts: Numbers, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Bootstrap over comments: the totals of so many samples of as many comments, drawn with replacement.

    counts: one row a comment, segments of which are not independent. Comments of equal counts are one urn of a
    multinomial draw, so that 100,000 of them cost no more than the few hundred rows that differ.
    """
    kinds, copies = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(counts), copies / len(counts), size=draws)
    totals: Numbers = drawn @ kinds
    return totals


def f1_interval(counts: Numbers) -> tuple[float, float] | None:
    """95% interval of F1 over comments with these counts of right, predicted and gold. None where nothing counts."""
    if not counts[:, 1:].sum():
        return None
    low, high = np.quantile(f1s(resampled(counts)), [0.025, 0.975])
    return float(low), float(high)


def f1s(totals: Numbers) -> NDArray[np.float64]:
    """F1 of each row of right, predicted and gold; 0 where a sample holds none of them."""
    right, predicted, gold = totals.T
    rates: NDArray[np.float64] = 2 * right / np.maximum(predicted + gold, 1)
    return rates
