"""The study's own scorer, for comparison with its table; its faults are kept (`docs/scores.md` lists them)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sklearn.metrics import precision_recall_fscore_support

from eval.scoring.tally import Rates
from taxonomy.labels import LEVELS

MOST: Final = 10
"""Labels of a comment that count at a level."""

Labels = Sequence[Mapping[str, Any]]
"""A comment's segments, in the order of the answer."""


def seed_compat(gold: Mapping[str, Labels], predicted: Mapping[str, Labels]) -> dict[str, Rates]:
    """P, R and F1 of each level. Comments by id; one without a prediction has an empty one.

    None where a level has no gold label at all.
    """
    return {level: _scored(level, ((gold[id_], predicted.get(id_, ())) for id_ in gold)) for level in LEVELS}


def _scored(level: str, comments: Iterable[tuple[Labels, Labels]]) -> Rates:
    true: list[str] = []
    given: list[str] = []
    for gold, predicted in comments:
        expected, answered = _labels(level, gold), _labels(level, predicted)
        # By position, cut and padded to the gold's count: a label one place off is wrong, one past the end is free.
        true += expected
        given += (answered + [""] * len(expected))[: len(expected)]
    if not true:
        return Rates(None, None, None)
    # Numbers in the labels' own order: sums as over the labels themselves, and a tenth of the time.
    number = {label: n for n, label in enumerate(sorted({*true, *given}))}
    numbers = [[number[label] for label in side] for side in (true, given)]
    precision, recall, f1, _ = precision_recall_fscore_support(*numbers, average="weighted", zero_division=0)
    return Rates(float(precision), float(recall), float(f1))


def _labels(level: str, segments: Labels) -> list[str]:
    """The level's labels in order, each once, ten at most; of L4 what stands before the first colon."""
    once = list(dict.fromkeys(label for s in segments if isinstance(label := s.get(level), str) and label))[:MOST]
    return [label.split(":")[0] for label in once] if level == "L4" else once
