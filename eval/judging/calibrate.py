"""How far a checkpoint's probabilities can be trusted, and from which on nobody need look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from eval.scoring.matched import Verdicts, matched
from eval.scoring.predictions import Prediction, read_rows
from taxonomy.checkpoint.calibration import SURE, Calibration, Scale
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.labels import LEVELS

BINS: Final = 15
FOLDS: Final = 5
LEAST: Final = 50
"""Comments with a predicted segment; fewer are too few for three parameters a level and a threshold."""
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Confidences:
    """Predicted segments: by level (and "emotion") the probability, whether it was right, and if that can be said.

    comment: number of each segment's comment. right: at a level, aligned and the path down to it is right. The emotion
    of a segment without a gold partner is neither right nor wrong; `known` is False there.
    """

    comment: NDArray[np.int64]
    probability: dict[str, Reals]
    right: dict[str, Verdicts]
    known: dict[str, Verdicts]


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of probabilities: how many segments, their mean probability, and the share that is right."""

    segments: int
    confidence: float
    accuracy: float


def confidences(gold: Sequence[LabelledComment], predictions: Sequence[Prediction]) -> Confidences:
    """Raises DataInvalid where a predicted segment carries no probability for one of its levels or its emotion."""
    both = matched(gold, predictions)
    names = [*LEVELS[: both.paths.depth], "emotion"]
    rows = [(p.id, i, s.confidence) for p in predictions for i, s in enumerate(p.segments)]
    if lacking := [(id_, i, name) for id_, i, given in rows for name in names if name not in given]:
        id_, index, name = lacking[0]
        raise DataInvalid(f"{len(lacking)} confidences are missing, first {id_} segments[{index}].confidence.{name}")
    paired = np.zeros(both.predicted.size, dtype=bool)
    paired[both.pairs.predicted] = True
    right = {}
    for depth, name in enumerate(names, 1):
        right[name] = np.zeros(both.predicted.size, dtype=bool)
        verdicts = both.right_emotion if name == "emotion" else both.right_at(depth)
        right[name][both.pairs.predicted[verdicts]] = True
    return Confidences(
        comment=both.predicted.comment,
        probability={name: np.array([given[name] for _, _, given in rows]) for name in names},
        right=right,
        known={name: paired if name == "emotion" else np.ones_like(paired) for name in names},
    )


def calibrate(found: Confidences, wanted_error: float) -> Calibration:
    """Scales fitted on all segments; figures and threshold from folds that held their comments out.

    Raises DataInvalid where there are too few comments.
    """
    comments = len(np.unique(found.comment))
    if comments < LEAST:
        raise DataInvalid(f"{comments} comments with predicted segments are too few to calibrate on; give {LEAST}")
    after = held_out(found)
    surest = np.minimum.reduce(list(after.values()))
    leaf = list(found.right)[-2]
    wrong = ~(found.right[leaf] & found.right["emotion"])
    threshold = review_below(surest, wrong, wanted_error)
    return Calibration(
        scales={name: fitted(found, name, np.ones_like(wrong)) for name in found.right},
        review_below=threshold,
        wanted_error=wanted_error,
        coverage=float((surest >= threshold).mean()),
        comments=comments,
        segments=len(wrong),
        figures={name: _figures(found, name, after[name]) for name in found.right},
    )


def fitted(found: Confidences, name: str, chosen: Verdicts) -> Scale:
    """Temperatures and bias of greatest likelihood on the chosen segments, in bounds where the likelihood has none."""
    use = chosen & found.known[name]
    probability, right = np.clip(found.probability[name][use], SURE, 1 - SURE), found.right[name][use]
    terms = np.stack([np.log(probability), -np.log1p(-probability), np.ones_like(probability)])
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Reals) -> float:
        return float(np.logaddexp(0, -sign * (weights @ terms)).mean())

    best = minimize(loss, x0=[1.0, 1.0, 0.0], method="L-BFGS-B", bounds=[(0.05, 20.0), (0.05, 20.0), (-10.0, 10.0)])
    slope, upper_slope, bias = map(float, best.x)
    return Scale(temperature=1 / slope, upper_temperature=1 / upper_slope, bias=bias)


def held_out(found: Confidences) -> dict[str, Reals]:
    """Calibrated probabilities of each segment, by scales that were fitted without its comment."""
    _, number = np.unique(found.comment, return_inverse=True)
    fold = np.random.default_rng(0).permutation(number.max() + 1)[number] % FOLDS
    out = {name: np.empty(len(fold)) for name in found.right}
    for held in range(FOLDS):
        own = fold == held
        scales = {name: fitted(found, name, ~own) for name in found.right}
        for name, scale in scales.items():
            out[name][own] = _scaled(scale, found.probability[name][own])
    for above, name in zip(LEVELS, list(out)[1:-1], strict=False):
        out[name] = np.minimum(out[above], out[name])
    return out


def _scaled(scale: Scale, probabilities: Reals) -> Reals:
    return np.array([scale.of(float(p)) for p in probabilities])


def reliability(probability: Reals, right: Verdicts, bins: int = BINS) -> list[Reliability]:
    """Bins of equal width; empty ones are left out."""
    number = np.minimum((probability * bins).astype(int), bins - 1)
    chosen = [number == n for n in range(bins)]
    return [Reliability(int(c.sum()), float(probability[c].mean()), float(right[c].mean())) for c in chosen if c.any()]


def ece(probability: Reals, right: Verdicts) -> float:
    """Expected calibration error: how far, on average over segments, a bin's probability is from its accuracy."""
    bins = reliability(probability, right)
    return sum(b.segments * abs(b.confidence - b.accuracy) for b in bins) / sum(b.segments for b in bins)


def brier(probability: Reals, right: Verdicts) -> float:
    return float(np.square(probability - right).mean())


def _figures(found: Confidences, name: str, after: Reals) -> dict[str, float]:
    use = found.known[name]
    before, right = found.probability[name][use], found.right[name][use]
    if not use.any():
        raise DataInvalid("no predicted segment is aligned with a gold one, so nothing can be said of its emotion")
    return {
        "segments": int(use.sum()),
        "accuracy": float(right.mean()),
        "ece_before": ece(before, right),
        "ece": ece(after[use], right),
        "brier_before": brier(before, right),
        "brier": brier(after[use], right),
    }


@dataclass(frozen=True, slots=True)
class Risk:
    """Accepting what is at least this sure: the share of segments that is, and how many of them are wrong."""

    threshold: float
    coverage: float
    error: float


def risk_coverage(surest: Reals, wrong: Verdicts) -> list[Risk]:
    """One row for each probability that occurs, from the surest down; equal ones are accepted together."""
    order = np.argsort(-surest, kind="stable")
    ordered = surest[order]
    errors, accepted = np.cumsum(wrong[order]), np.arange(1, len(order) + 1)
    last = np.append(ordered[1:] != ordered[:-1], True)
    rows = zip(ordered[last], accepted[last] / len(order), errors[last] / accepted[last], strict=True)
    return [Risk(*map(float, row)) for row in rows]


def review_below(surest: Reals, wrong: Verdicts, wanted_error: float) -> float:
    """The least probability from which on at most this share is wrong: 0 where that is all, 1 where it is none."""
    risks = risk_coverage(surest, wrong)
    within = [risk for risk in risks if risk.error <= wanted_error]
    if not within:
        return 1.0
    return 0.0 if within[-1] is risks[-1] else within[-1].threshold


def record_calibration(folder: Path, predictions: Path, found: Calibration) -> None:
    """Into the checkpoint's manifest; what the gate decided before was of another calibration.

    predictions: the file that it was fitted on. Raises CallWrong where they were calibrated already, DataInvalid where
    they are another checkpoint's.
    """
    manifest = read_manifest(folder)
    if manifest.calibration:
        raise CallWrong(
            f"{folder} is calibrated, so what its service answered was calibrated already; "
            "take `calibration` out of its manifest.json, start the service anew, and predict again"
        )
    others = sorted({str(row.checkpoint) for row in read_rows(predictions)} - {manifest.version})
    if others:
        raise DataInvalid(f"{predictions} is by {', '.join(others)} and not by {manifest.version} in {folder}")
    publish(folder, manifest.model_copy(update={"calibration": found, "decision": None}))
