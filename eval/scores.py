"""Scores of predicted comments against gold ones, on aligned segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.align import align
from taxonomy.comments import LabelledComment
from taxonomy.labels import LEVELS


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

    def as_json(self) -> dict[str, float | None]:
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class Scores:
    """levels: micro tallies, L1 down to the leaf: the whole path to that level is right on an aligned segment.

    span: the alignment alone. emotion: right emotions among aligned segments. leaf_interval: a 95% bootstrap over
    comments of the leaf's F1.
    """

    levels: dict[str, Tally]
    span: Tally
    emotion: Tally
    leaf_interval: tuple[float, float]

    @property
    def leaf(self) -> Tally:
        return list(self.levels.values())[-1]

    def as_json(self) -> dict[str, object]:
        return {
            "leaf": {"micro": self.leaf.as_json(), "f1_95": list(self.leaf_interval)},
            "levels": {name: tally.as_json() for name, tally in self.levels.items()},
            "span": self.span.as_json(),
            "emotion": {"accuracy": self.emotion.recall},
        }


def score(gold: Sequence[LabelledComment], predicted: Sequence[LabelledComment]) -> Scores:
    """Both in the same order of comments. Raises ValueError where ids differ."""
    if [g.id for g in gold] != [p.id for p in predicted]:
        raise ValueError("gold and predictions are not of the same comments in the same order")
    per_comment = [_tallies(g, p) for g, p in zip(gold, predicted, strict=True)]
    total: dict[str, Tally] = defaultdict(lambda: Tally(0, 0, 0))
    for tallies in per_comment:
        for name, tally in tallies.items():
            total[name] += tally
    levels = {name: total[name] for name in LEVELS if name in total}
    leaf = list(levels)[-1]
    return Scores(
        levels, total["span"], total["emotion"], _interval([t.get(leaf, Tally(0, 0, 0)) for t in per_comment])
    )


def _tallies(gold: LabelledComment, predicted: LabelledComment) -> dict[str, Tally]:
    pairs = align(gold.segments, predicted.segments)
    sizes = len(predicted.segments), len(gold.segments)
    depth = max((len(span.path) for span in (*gold.segments, *predicted.segments)), default=len(LEVELS))
    tallies = {"span": Tally(len(pairs), *sizes)}
    for level in range(1, depth + 1):
        right = sum(pair.gold.path[:level] == pair.predicted.path[:level] for pair in pairs)
        tallies[LEVELS[level - 1]] = Tally(right, *sizes)
    right = sum(pair.gold.emotion == pair.predicted.emotion for pair in pairs)
    return tallies | {"emotion": Tally(right, len(pairs), len(pairs))}


def _interval(tallies: Sequence[Tally], draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap over comments: segments of one comment are not independent."""
    counts = np.array([(t.right, t.predicted + t.gold) for t in tallies], dtype=float).reshape(-1, 2)
    rng = np.random.default_rng(seed)
    f1s = []
    for _ in range(draws):
        right, both = counts[rng.integers(0, len(counts), len(counts))].sum(axis=0)
        f1s.append(2 * right / both if both else 0.0)
    low, high = np.quantile(f1s, [0.025, 0.975])
    return float(low), float(high)
