"""Two sets of predictions of the same comments: how much better is one, and could the sample have shown it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.stats import binomtest, norm

from eval.scoring.columns import Numbers
from eval.scoring.matched import Matched, Predicted, Verdicts, matched
from eval.scoring.predictions import read_gold, read_predictions, told
from eval.scoring.tally import f1s, resampled
from taxonomy import command_line
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid
from taxonomy.formats.registry import load_taxonomy

ALPHA: Final = 0.05
POWER: Final = 0.8


class McNemar(NamedTuple):
    """Exact test on those that one of two gets right and the other wrong; p is two-sided, None where there are none."""

    only_candidate: int
    only_baseline: int
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """Leaf micro F1 of candidate and baseline, over the same draws of whole comments.

    interval: 95%, two-sided. lower, upper: one-sided 95% bounds of the difference (candidate less baseline).
    detectable: the least true difference that a one-sided test at 5% shows in four of five samples like this one.
    """

    comments: int
    candidate: float
    baseline: float
    difference: float
    interval: tuple[float, float]
    lower: float
    upper: float
    detectable: float
    segments: McNemar
    whole_comments: McNemar

    def as_json(self) -> dict[str, Any]:
        return {
            "comments": self.comments,
            "leaf_f1": {
                "candidate": self.candidate,
                "baseline": self.baseline,
                "difference": self.difference,
                "difference_95": list(self.interval),
                "lower_95": self.lower,
                "upper_95": self.upper,
                "minimum_detectable": self.detectable,
            },
            "mcnemar": {"segments": self.segments._asdict(), "comments": self.whole_comments._asdict()},
        }


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
    return Comparison(
        comments=len(gold),
        candidate=both[0],
        baseline=both[1],
        difference=both[0] - both[1],
        interval=(low, high),
        lower=lower,
        upper=upper,
        detectable=detectable(float(differences.std(ddof=1))),
        segments=mcnemar(_found(one), _found(other)),
        whole_comments=mcnemar(_whole(counts[:, :3]), _whole(counts[:, 3:])),
    )


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


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval compare`."""
    parser.add_argument("--gold", type=Path, required=True, help="JSONL of labelled comments")
    parser.add_argument("--candidate", type=Path, required=True, help="JSONL of its predictions")
    parser.add_argument("--baseline", type=Path, required=True, help="JSONL of its predictions")
    parser.add_argument("--taxonomy", type=Path, default=BUNDLED_TAXONOMY, help="default: the bundled one")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_compare)


def _compare(given: argparse.Namespace) -> int:
    gold, taxonomy = read_gold(given.gold), load_taxonomy(given.taxonomy)
    sides = {name: read_predictions(getattr(given, name), gold, taxonomy) for name in ("candidate", "baseline")}
    found = compare(gold, sides["candidate"].predictions, sides["baseline"].predictions)
    faults = [f"{name}: {line}" for name, side in sides.items() for line in told(side.faults)]
    command_line.tell(found.as_json() | {"input": faults}, "\n".join([*_text(found), *faults]), as_json=given.json)
    return 0


def _text(found: Comparison) -> list[str]:
    tests: Mapping[str, McNemar] = {"gold segments": found.segments, "whole comments": found.whole_comments}
    return [
        f"leaf F1: candidate {found.candidate:.4f}, baseline {found.baseline:.4f}, difference {found.difference:+.4f}",
        "95% of paired bootstrap draws over {} comments: {:+.4f} to {:+.4f}".format(found.comments, *found.interval),
        f"one-sided 95% bounds: not below {found.lower:+.4f}, not above {found.upper:+.4f}",
        f"a sample like this one shows differences from {found.detectable:.4f} up",
        *(
            f"McNemar over {name}: only the candidate {test.only_candidate}, only the baseline {test.only_baseline}, "
            + ("no difference" if test.p is None else f"p {test.p:.4f}")
            for name, test in tests.items()
        ),
    ]
