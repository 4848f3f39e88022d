"""How far a checkpoint's probabilities can be trusted, and from which on nobody need look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from eval.scoring.matched import Verdicts, matched
from eval.scoring.predictions import Prediction, read_rows
from eval.scoring.teams import right_team
from taxonomy.checkpoint.calibration import SURE, Calibration, Scale
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.labels import LEVELS, TEAM
from taxonomy.tree import Taxonomy

BINS: Final = 15
FOLDS: Final = 5
LEAST: Final = 50
"""Comments with a predicted segment that reaches a level; fewer are too few for three parameters and a threshold."""
Reals = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Confidences:
    """Predicted segments: by level, "emotion" and "team" the probability, whether it was right, if that can be said.

    comment: number of each segment's comment. right: at a level, aligned and the path down to it is right; of the team,
    aligned and both leaves have the same. A level that the predicted path does not reach has no probability (NaN) and
    is neither right nor wrong, and so is the emotion of a segment without a gold partner: `known` is False there.
    right_leaf: aligned, and the whole path is right. There is no team where not every segment has its probability.
    """

    comment: Numbers
    probability: dict[str, Reals]
    right: dict[str, Verdicts]
    known: dict[str, Verdicts]
    right_leaf: Verdicts

    @property
    def wrong(self) -> Verdicts:
        """Of each segment, whether its leaf or its emotion is."""
        return ~(self.right_leaf & self.right["emotion"])

    @property
    def has_teams(self) -> bool:
        return TEAM in self.probability


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of probabilities: how many segments, their mean probability, and the share that is right."""

    segments: int
    confidence: float
    accuracy: float


def confidences(
    gold: Sequence[LabelledComment], predictions: Sequence[Prediction], taxonomy: Taxonomy | None = None
) -> Confidences:
    """Raises DataInvalid where a predicted segment carries no probability for one of its levels or its emotion.

    taxonomy: gives each leaf its team; without one nothing is said of teams.
    """
    both = matched(gold, predictions)
    levels = LEVELS[: both.paths.depth]
    rows = [(p.id, i, s) for p in predictions for i, s in enumerate(p.segments)]
    # Also of a segment without labels the first level is asked for: it is a prediction, and not residue.
    reached = [{*levels[: max(1, len(s.path))], "emotion"} for _, _, s in rows]
    if lacking := [
        (id_, i, name)
        for (id_, i, s), names in zip(rows, reached, strict=True)
        for name in sorted(names)
        if name not in s.confidence
    ]:
        id_, index, name = lacking[0]
        raise DataInvalid(f"{len(lacking)} confidences are missing, first {id_} segments[{index}].confidence.{name}")

    def of_pairs(verdicts: Verdicts) -> Verdicts:
        of_predicted = np.zeros(both.predicted.size, dtype=bool)
        of_predicted[both.pairs.predicted[verdicts]] = True
        return of_predicted

    known = {level: np.array([level in names for names in reached], dtype=bool) for level in levels}
    found = Confidences(
        comment=both.predicted.comment,
        probability={
            name: np.array(
                [s.confidence[name] if name in r else np.nan for (_, _, s), r in zip(rows, reached, strict=True)]
            )
            for name in (*levels, "emotion")
        },
        right={level: of_pairs(both.right_at(n)) for n, level in enumerate(levels, 1)}
        | {"emotion": of_pairs(both.right_emotion)},
        known=known | {"emotion": of_pairs(np.ones(both.pairs.predicted.size, dtype=bool))},
        right_leaf=of_pairs(both.right_leaf),
    )
    told = [s.confidence[TEAM] for _, _, s in rows if TEAM in s.confidence]
    if taxonomy is None or len(told) < len(rows):
        return found
    return replace(
        found,
        probability=found.probability | {TEAM: np.array(told, dtype=float)},
        right=found.right | {TEAM: of_pairs(right_team(both, taxonomy))},
        known=found.known | {TEAM: np.ones(len(rows), dtype=bool)},
    )


def calibrate(found: Confidences, wanted_error: float) -> Calibration:
    """Scales fitted on all segments; figures and threshold from folds that held their comments out.

    Raises DataInvalid where there are too few comments.
    """
    comments = len(np.unique(found.comment))
    if comments < LEAST:
        raise DataInvalid(f"{comments} comments with predicted segments are too few to calibrate on; give {LEAST}")
    after = held_out(found)
    leaf = reviewed(least_of(after), found.wrong, wanted_error)
    team = reviewed(after[TEAM], ~found.right[TEAM], wanted_error) if found.has_teams else None
    return Calibration(
        scales=scales(found, np.ones_like(found.wrong)),
        review_below=leaf.below,
        wanted_error=wanted_error,
        coverage=leaf.coverage,
        comments=comments,
        segments=len(found.wrong),
        figures={name: _figures(found, name, after[name]) for name in _fitted_names(found)},
        team_review_below=team and team.below,
        team_coverage=team and team.coverage,
    )


def least_of(probability: Mapping[str, Reals]) -> Reals:
    """Of each segment how sure its leaf is: the least of its levels and its emotion, those that it has."""
    least: Reals = np.fmin.reduce([told for name, told in probability.items() if name != TEAM])
    return least


class Reviewed(NamedTuple):
    """Under which probability somebody reviews, and the share that nobody does."""

    below: float
    coverage: float


def reviewed(surest: Reals, wrong: Verdicts, wanted_error: float) -> Reviewed:
    """So that of what nobody reviews at most this share is wrong."""
    threshold = review_below(surest, wrong, wanted_error)
    return Reviewed(threshold, float((surest >= threshold).mean()))


def scales(found: Confidences, chosen: Verdicts) -> dict[str, Scale]:
    """Of every level and the emotion, fitted on the chosen segments.

    A level that too few comments reach, or none, has that of the level above.
    """
    fits = {name: fitted(found, name, chosen) for name in _fitted_names(found)}
    for above, level in pairwise(LEVELS):
        fits.setdefault(level, fits[above])
    return dict(sorted(fits.items()))


def _fitted_names(found: Confidences) -> list[str]:
    return [
        name
        for name, known in found.known.items()
        if name in (LEVELS[0], "emotion", TEAM) or len(np.unique(found.comment[known])) >= LEAST
    ]


def fitted(found: Confidences, name: str, chosen: Verdicts) -> Scale:
    """Temperatures and bias of greatest likelihood on the chosen segments, in bounds where the likelihood has none."""
    use = chosen & found.known[name]
    return fit(found.probability[name][use], found.right[name][use])


def fit(told: Reals, right: Verdicts) -> Scale:
    """Of the probabilities that were told, and whether each was right."""
    probability = np.clip(told, SURE, 1 - SURE)
    terms = np.stack([np.log(probability), -np.log1p(-probability), np.ones_like(probability)])
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Reals) -> float:
        return float(np.logaddexp(0, -sign * (weights @ terms)).mean())

    best = minimize(loss, x0=[1.0, 1.0, 0.0], method="L-BFGS-B", bounds=[(0.05, 20.0), (0.05, 20.0), (-10.0, 10.0)])
    slope, upper_slope, bias = map(float, best.x)
    return Scale(temperature=1 / slope, upper_temperature=1 / upper_slope, bias=bias)


def held_out(found: Confidences) -> dict[str, Reals]:
    """Calibrated probabilities of each segment, by scales that were fitted without its comment."""
    fold = folds(found.comment)
    out = {name: np.full(len(fold), np.nan) for name in found.right}
    for held in range(FOLDS):
        own = fold == held
        fits = scales(found, ~own)
        for name, before in found.probability.items():
            given = own & ~np.isnan(before)
            out[name][given] = scaled(fits[name], before[given])
    levels = [level for level in LEVELS if level in out]
    for above, name in pairwise(levels):
        out[name] = np.minimum(out[above], out[name])
    if found.has_teams:
        out[TEAM] = np.fmax(out[TEAM], np.fmin.reduce([out[level] for level in levels]))
    return out


def folds(comment: Numbers) -> Numbers:
    """Of each row, by the number of its comment, the fold that it is held out with."""
    _, number = np.unique(comment, return_inverse=True)
    fold: Numbers = np.random.default_rng(0).permutation(number.max() + 1)[number] % FOLDS
    return fold


def scaled(scale: Scale, probabilities: Reals) -> Reals:
    """Each probability, calibrated."""
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
    if not use.any():
        raise DataInvalid("no predicted segment is aligned with a gold one, so nothing can be said of its emotion")
    return figures_of(found.probability[name][use], after[use], found.right[name][use])


def figures_of(before: Reals, after: Reals, right: Verdicts) -> dict[str, float]:
    """How often it is right, and both figures of calibration, each before and after."""
    return {
        "segments": len(right),
        "accuracy": float(right.mean()),
        "ece_before": ece(before, right),
        "ece": ece(after, right),
        "brier_before": brier(before, right),
        "brier": brier(after, right),
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


def check_taxonomy(predictions: Path, taxonomy: Taxonomy) -> None:
    """Raises DataInvalid where a file of predictions that tell of teams is of another taxonomy."""
    rows = (row for row in read_rows(predictions) if any(TEAM in (s.get("confidence") or {}) for s in row.segments))
    if others := sorted({row.taxonomy for row in rows if row.taxonomy} - {taxonomy.version}):
        theirs = ", ".join(others)
        raise DataInvalid(f"{predictions} is of {theirs} and not of {taxonomy.version}; give that with --taxonomy")


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
