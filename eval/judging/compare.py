"""Two sets of predictions of the same comments: how much better is one, and could the sample have shown it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import binomtest, norm

from eval.scoring.columns import Numbers
from eval.scoring.matched import Matched, Predicted, Verdicts, matched
from eval.scoring.tally import f1s, resampled
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid

ALPHA: Final = 0.05
POWER: Final = 0.8


@dataclass(frozen=True, slots=True)
class McNemar:
    """Exact test on those that one of two gets right and the other wrong; p is two-sided, None where there are none."""

    only_candidate: int
    only_baseline: int
    p: float | None


@dataclass(frozen=True, slots=True)
class F1Difference:
    """Leaf micro F1 of candidate and baseline, over the same draws of whole comments.

    difference: candidate less baseline; difference_95: its two-sided interval; lower_95, upper_95: one-sided bounds.
    minimum_detectable: the least true difference that a one-sided test at 5% shows in four of five samples like this.
    """

    candidate: float
    baseline: float
    difference: float
    difference_95: tuple[float, float]
    lower_95: float
    upper_95: float
    minimum_detectable: float


@dataclass(frozen=True, slots=True)
class McNemarTests:
    """On gold segments, and on whole comments."""

    segments: McNemar
    comments: McNemar


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of two sets of predictions of so many comments."""

    comments: int
    leaf_f1: F1Difference
    mcnemar: McNemarTests


def compare(
    gold: Sequence[LabelledComment], candidate: Sequence[Predicted], baseline: Sequence[Predicted]
) -> Comparison:
    """All in the same order of comments. Raises DataInvalid where the gold has no segment to compare on."""
    one, other = matched(gold, candidate), matched(gold, baseline)
    if not one.gold.size:
        raise DataInvalid("the gold has no segments, so there is nothing to compare")
    counts = np.hstack([one.leaf_counts(), other.leaf_counts()])
    totals = resampled(counts)
    differences = f1s(totals[:, :3]) - f1s(totals[:, 3:])
    both = [float(f1s(counts.sum(axis=0, keepdims=True)[:, side])[0]) for side in (slice(3), slice(3, 6))]
    low, lower, upper, high = map(float, np.quantile(differences, [ALPHA / 2, ALPHA, 1 - ALPHA, 1 - ALPHA / 2]))
    leaf_f1 = F1Difference(
        candidate=both[0],
        baseline=both[1],
        difference=both[0] - both[1],
        difference_95=(low, high),
        lower_95=lower,
        upper_95=upper,
        minimum_detectable=detectable(float(differences.std(ddof=1))),
    )
    tests = McNemarTests(
        segments=mcnemar(_found(one), _found(other)), comments=mcnemar(_whole(counts[:, :3]), _whole(counts[:, 3:]))
    )
    return Comparison(len(gold), leaf_f1, tests)


def detectable(standard_error: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """The difference that a one-sided test at `alpha` finds with this power, where its estimate has this error."""
    return float(norm.ppf(1 - alpha) + norm.ppf(power)) * standard_error


def mcnemar(candidate: Verdicts, baseline: Verdicts) -> McNemar:
    """Of the same items, which each gets right."""
    only = int((candidate & ~baseline).sum()), int((baseline & ~candidate).sum())
    return McNemar(*only, float(binomtest(only[0], sum(only)).pvalue) if sum(only) else None)


def _found(both: Matched) -> Verdicts:
    """Of each gold segment, whether it is found with the right leaf."""
    found = np.zeros(both.gold.size, dtype=bool)
    found[both.pairs.gold[both.right_leaf]] = True
    return found


def _whole(counts: Numbers) -> Verdicts:
    """Of each comment, whether all its segments are found with the right leaf, and nothing else."""
    whole: Verdicts = (counts[:, 0] == counts[:, 1]) & (counts[:, 0] == counts[:, 2])
    return whole
