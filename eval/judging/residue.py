"""How far the probability can be trusted that a stretch of a comment holds no feedback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eval.judging.calibrate import (
    LEAST,
    Numbers,
    Reals,
    calibrate,
    confidences,
    figures_of,
    fit,
    folds,
    reviewed,
    scaled,
)
from eval.scoring.matched import Verdicts
from eval.scoring.predictions import Prediction
from taxonomy.checkpoint.calibration import RESIDUE, Calibration
from taxonomy.comments import LabelledComment
from taxonomy.tree import Taxonomy


class ResidueConfidences(NamedTuple):
    """Predicted residue: the number of its comment, the probability that it holds no feedback, whether that is so."""

    comment: Numbers
    probability: Reals
    right: Verdicts


def calibrate_all(
    gold: Sequence[LabelledComment],
    predictions: Sequence[Prediction],
    wanted_error: float,
    taxonomy: Taxonomy | None = None,
) -> Calibration:
    """Of segments, their teams where a taxonomy tells them, and residue.

    Raises DataInvalid as `confidences` and `calibrate` do.

    Of residue in too few comments nothing is said; its probability then stays the model's own.
    """
    found = calibrate(confidences(gold, predictions, taxonomy), wanted_error)
    residue = residue_confidences(gold, predictions)
    return found if len(np.unique(residue.comment)) < LEAST else _with_residue(found, residue)


def residue_confidences(gold: Sequence[LabelledComment], predictions: Sequence[Prediction]) -> ResidueConfidences:
    """A stretch holds no feedback where no letter or digit of it is in a gold segment."""
    rows = [
        (number, span.confidence, not _holds_feedback(comment, span.start, span.end))
        for number, (comment, prediction) in enumerate(zip(gold, predictions, strict=True))
        for span in prediction.residue
    ]
    comment, probability, right = zip(*rows, strict=True) if rows else ((), (), ())
    return ResidueConfidences(np.array(comment, int), np.array(probability, float), np.array(right, bool))


def _holds_feedback(comment: LabelledComment, start: int, end: int) -> bool:
    shared = (comment.comment[max(start, s.start) : min(end, s.end)] for s in comment.segments)
    return any(character.isalnum() for text in shared for character in text)


def _with_residue(found: Calibration, residue: ResidueConfidences) -> Calibration:
    comment, probability, right = residue
    fold = folds(comment)
    after = np.empty_like(probability)
    for held in np.unique(fold):
        own = fold == held
        after[own] = scaled(fit(probability[~own], right[~own]), probability[own])
    review = reviewed(after, ~right, found.wanted_error)
    return Calibration(
        **found.model_dump(exclude={"scales", "figures", "residue_review_below", "residue_coverage"}),
        scales=found.scales | {RESIDUE: fit(probability, right)},
        figures=found.figures | {RESIDUE: figures_of(probability, after, right)},
        residue_review_below=review.below,
        residue_coverage=review.coverage,
    )
