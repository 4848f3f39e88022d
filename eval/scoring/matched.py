"""Gold and predicted segments of many comments, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eval.scoring.align import MatchedRows, aligned
from eval.scoring.columns import Columns, LabelledSpan, Numbers, Paths, columns
from eval.scoring.tally import Tally
from taxonomy.comments import LabelledComment

Verdicts = NDArray[np.bool_]
"""True or false of each row."""


class Predicted(Protocol):
    """The predicted segments of a comment, by its id."""

    @property
    def id(self) -> str: ...
    @property
    def segments(self) -> Sequence[LabelledSpan]: ...


@dataclass(frozen=True)
class Matched:
    """The segments as columns, and which predicted one answers which gold one."""

    gold: Columns
    predicted: Columns
    paths: Paths
    pairs: MatchedRows
    comments: int

    def tally(self, right: Verdicts, gold: Verdicts | None = None, predicted: Verdicts | None = None) -> Tally:
        """MatchedRows that are right, predicted and gold segments: of all, or of those chosen on either side."""
        if gold is None or predicted is None:
            return Tally(int(right.sum()), self.predicted.size, self.gold.size)
        chosen = right & gold[self.pairs.gold] & predicted[self.pairs.predicted]
        return Tally(int(chosen.sum()), int(predicted.sum()), int(gold.sum()))

    def equal(self, gold: Numbers, predicted: Numbers) -> Verdicts:
        """Of each pair, whether these numbers of its two segments are equal."""
        same: Verdicts = gold[self.pairs.gold] == predicted[self.pairs.predicted]
        return same

    def right_at(self, level: int) -> Verdicts:
        """Of each pair, whether both paths reach a level and are equal down to it."""
        code, reaches = self.paths.at_level(level), self._reaches(level)
        right: Verdicts = reaches[self.gold.path[self.pairs.gold]]
        return right & self.equal(code[self.gold.path], code[self.predicted.path])

    @property
    def levels_right(self) -> Numbers:
        """Of each pair, how many levels from L1 down are right."""
        right = [self.right_at(level) for level in range(1, self.paths.depth + 1)]
        levels: Numbers = np.sum(right, axis=0, dtype=np.int64)
        return levels

    def tally_at(self, level: int) -> Tally:
        """Pairs that are right at a level; the predicted and the gold segments whose paths reach it."""
        reaches = self._reaches(level)
        predicted, gold = (int(reaches[side.path].sum()) for side in (self.predicted, self.gold))
        return Tally(int(self.right_at(level).sum()), predicted, gold)

    def _reaches(self, level: int) -> Verdicts:
        return self.paths.each(len) >= level

    @property
    def right_leaf(self) -> Verdicts:
        """Of each pair, whether the whole path is right."""
        return self.equal(self.gold.path, self.predicted.path)

    @property
    def right_emotion(self) -> Verdicts:
        return self.equal(self.gold.emotion, self.predicted.emotion)

    def leaf_counts(self) -> Numbers:
        """Of each comment: right leaves, predicted and gold segments."""
        return self.counts(self.right_leaf)

    def counts(self, right: Verdicts) -> Numbers:
        """Of each comment: the pairs that are right, predicted and gold segments."""
        own = self.gold.comment[self.pairs.gold[right]]
        each = [np.bincount(x, minlength=self.comments) for x in (own, self.predicted.comment, self.gold.comment)]
        return np.stack(each, axis=1)


def matched(gold: Sequence[LabelledComment], predicted: Sequence[Predicted]) -> Matched:
    """Raises ValueError where they are not of the same comments in the same order."""
    if [g.id for g in gold] != [p.id for p in predicted]:
        raise ValueError("gold and predictions are not of the same comments in the same order")
    paths = Paths()
    lengths = [len(comment.comment) for comment in gold]
    own = columns((comment.segments for comment in gold), lengths, paths)
    other = columns((prediction.segments for prediction in predicted), lengths, paths)
    return Matched(own, other, paths, aligned(own, other), len(gold))
