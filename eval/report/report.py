"""What a report shows, as one value: HTML, Markdown and JSON are made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from eval.judging.calibrate import Reals, Reliability, Risk, confidences, ece, least_of, reliability, risk_coverage
from eval.judging.compare import Comparison, compare
from eval.judging.paired import drops
from eval.scoring.align import Stretch
from eval.scoring.matched import Matched, Verdicts, matched
from eval.scoring.predictions import FaultCount, Prediction, Predictions, counted
from eval.scoring.scores import Scores, score
from eval.scoring.seed_compat import seed_compat
from eval.scoring.tally import Rates
from taxonomy.checkpoint.gate_record import GateRecord
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.comments import LabelledComment
from taxonomy.labels import LEVELS, TEAM, LabelPath
from taxonomy.tree import ReviewBy, Taxonomy

CONFUSIONS: Final = 8
EXAMPLES: Final = 8
POINTS: Final = 40
WRONG: Final = 0.05
"""Of the segments that nobody reviews."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A line of the study's table."""

    model: str
    trained_on: str
    f1: float
    mmlu: float | None


STUDY: Final = (
    StudyRow("Nova 2 Lite", "nothing (base)", 0.387, 0.75),
    StudyRow("Nova 2 Lite", "customer data", 0.5537, 0.47),
    StudyRow("Nova 2 Lite", "75% customer, 25% general", 0.5, 0.74),
    StudyRow("Qwen3-30B-A3B", "nothing (base)", 0.394, None),
    StudyRow("Qwen3-30B-A3B", "customer data", 0.5552, 0.0038),
)
"""Its own F1, its MMLU."""


class Side(NamedTuple):
    """One set of predictions and, where there is one, the manifest of the checkpoint that made them."""

    name: str
    read: Predictions
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class GeneralFigure:
    """As the manifest keeps it."""

    value: float
    stderr: float | None
    count: int | None


@dataclass(frozen=True, slots=True)
class SideReport:
    """scores: as `Scores.as_json` has them. seed_compat: by level. general: by benchmark and figure. input: faults."""

    name: str
    checkpoint: str | None
    scores: Mapping[str, Any]
    seed_compat: dict[str, Rates]
    general: dict[str, GeneralFigure]
    input: dict[str, FaultCount]


@dataclass(frozen=True, slots=True)
class GeneralDrop:
    """From the baseline's figure to the candidate's over the same questions, pair by pair."""

    drop: float
    upper_95: float
    pairs: int
    lost: int
    gained: int
    p: float | None


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """Gold segments of which the same is to be said."""

    what: str
    segments: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """A gold label that was taken for another so many times."""

    gold: str
    predicted: str
    segments: int


@dataclass(frozen=True, slots=True)
class LevelTrust:
    """Expected calibration error, and the bins it is of."""

    ece: float
    bins: list[Reliability]


@dataclass(frozen=True, slots=True)
class Routing:
    """What is wrong among the segments that nobody reviews, by their share: at POINTS of all shares there are.

    at_error: the greatest share of which at most WRONG is wrong.
    """

    risk: list[Risk]
    at_error: float


@dataclass(frozen=True, slots=True)
class Trust:
    """Reliability by level, and risk against coverage where the team decides what is reviewed, and where the leaf does.

    There is no team where not every segment has its probability.
    """

    levels: dict[str, LevelTrust]
    routing: dict[ReviewBy, Routing]


@dataclass(frozen=True, slots=True)
class GoldExample:
    """content: None where the segment stands nowhere."""

    content: str | None
    path: str


@dataclass(frozen=True, slots=True)
class PredictedExample:
    """sure: the least of its confidences, None where it has none."""

    content: str | None
    path: str
    sure: float | None


@dataclass(frozen=True, slots=True)
class WorstComment:
    """A comment with so many segments missed or wrong."""

    id: str
    comment: str
    faults: int
    gold: list[GoldExample]
    predicted: list[PredictedExample]


@dataclass(frozen=True, slots=True)
class Report:
    """All that is shown; the first side is the candidate. What could not be measured is None."""

    comments: int
    taxonomy: str
    sides: list[SideReport]
    comparison: Comparison | None
    general_drops: dict[str, GeneralDrop]
    study: tuple[StudyRow, ...]
    tree: list[SegmentCount]
    confusions: dict[str, list[Confusion]]
    trust: Trust | None
    worst: list[WorstComment]
    decision: GateRecord | None


def report(
    gold: Sequence[LabelledComment],
    sides: Sequence[Side],
    taxonomy: Taxonomy,
    seen: Mapping[LabelPath, int] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Report:
    """The first side is the candidate, a second one the baseline. seen, groups: as for `score`."""
    candidate = sides[0]
    both = matched(gold, candidate.read.predictions)
    second = sides[1].read.predictions if len(sides) > 1 else None
    return Report(
        comments=len(gold),
        taxonomy=taxonomy.version,
        sides=[_side(gold, side, score(gold, side.read.predictions, taxonomy, seen, groups)) for side in sides],
        comparison=None if second is None else compare(gold, candidate.read.predictions, second),
        general_drops=_drops(sides),
        study=STUDY,
        tree=where_wrong(both),
        confusions=confusions(both),
        trust=trust_of(gold, candidate.read.predictions, taxonomy),
        worst=worst(gold, candidate.read.predictions, both),
        decision=candidate.manifest.decision if candidate.manifest else None,
    )


def _side(gold: Sequence[LabelledComment], side: Side, scores: Scores) -> SideReport:
    manifest = side.manifest
    return SideReport(
        name=side.name,
        checkpoint=manifest.version if manifest else None,
        scores=scores.as_json(),
        seed_compat=seed_compat(
            {comment.id: [_labels(s.path) for s in comment.segments] for comment in gold},
            {p.id: [_labels(s.path) for s in p.segments] for p in side.read.predictions},
        ),
        general=_general(manifest.scores) if manifest else {},
        input=counted(side.read.faults),
    )


def _labels(path: LabelPath) -> dict[str, str]:
    return dict(zip(LEVELS, path, strict=False))


def _general(scores: Mapping[str, Any]) -> dict[str, GeneralFigure]:
    """Figures with a value, by benchmark and name; per-subject ones are left to the manifest."""
    return {
        f"{benchmark}.{name}": GeneralFigure(figure["value"], figure.get("stderr"), figure.get("count"))
        for benchmark, figures in (scores.get("general") or {}).items()
        if isinstance(figures, dict)
        for name, figure in figures.items()
        if isinstance(figure, dict) and "value" in figure
    }


def _drops(sides: Sequence[Side]) -> dict[str, GeneralDrop]:
    """Of every general figure that both were asked the same questions for."""
    manifests = [side.manifest for side in sides]
    if len(manifests) < 2 or not manifests[0] or not manifests[1]:  # noqa: PLR2004 (a candidate and a baseline)
        return {}
    found = drops(manifests[0].scores, manifests[1].scores)
    return {
        name: GeneralDrop(
            drop=pairs.drop,
            upper_95=pairs.upper,
            pairs=pairs.asked,
            lost=pairs.test.only_baseline,
            gained=pairs.test.only_candidate,
            p=pairs.test.p,
        )
        for name, pairs in found.items()
    }


def where_wrong(both: Matched) -> list[SegmentCount]:
    """Of the gold segments: how many are right, go wrong first at which level, or have no partner."""
    right = both.right_leaf
    wrong = np.bincount(both.levels_right[~right], minlength=both.paths.depth)
    first = {f"wrong from {LEVELS[n]} on": int(wrong[n]) for n in reversed(range(both.paths.depth))}
    rows = {"right": int(right.sum())} | first | {"missed": both.gold.size - both.pairs.gold.size}
    return [SegmentCount(what, count) for what, count in rows.items()]


def confusions(both: Matched) -> dict[str, list[Confusion]]:
    """At each level the most frequent mistakes among pairs that are right above it."""
    paths = list(both.paths.codes)
    levels_right = both.levels_right
    found = {}
    for level in range(1, both.paths.depth + 1):
        wrong = np.flatnonzero(~both.right_leaf & (levels_right == level - 1))
        sides = both.gold.path[both.pairs.gold[wrong]], both.predicted.path[both.pairs.predicted[wrong]]
        pairs = Counter((paths[g][:level], paths[p][:level]) for g, p in zip(*sides, strict=True))
        found[LEVELS[level - 1]] = [
            Confusion(" > ".join(gold), " > ".join(predicted), count)
            for (gold, predicted), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
        ]
    return found


def trust_of(gold: Sequence[LabelledComment], predictions: Sequence[Prediction], taxonomy: Taxonomy) -> Trust | None:
    """Reliability by level and risk against coverage; None where no segment carries confidences."""
    if not any(s.confidence for p in predictions for s in p.segments):
        return None
    found = confidences(gold, predictions, taxonomy)
    routing: dict[ReviewBy, Routing] = {}
    if found.has_teams:
        routing["team"] = _routing(found.probability[TEAM], ~found.right[TEAM])
    routing["leaf"] = _routing(least_of(found.probability), found.wrong)
    levels = {}
    for name, known in found.known.items():
        probability, right = found.probability[name][known], found.right[name][known]
        if known.any():
            levels[name] = LevelTrust(ece(probability, right), reliability(probability, right))
    return Trust(levels, routing)


def _routing(surest: Reals, wrong: Verdicts) -> Routing:
    risks = risk_coverage(surest, wrong)
    chosen = sorted({round(n) for n in np.linspace(0, len(risks) - 1, POINTS)})
    share = max((risk.coverage for risk in risks if risk.error <= WRONG), default=0.0)
    return Routing([risks[n] for n in chosen], share)


def worst(gold: Sequence[LabelledComment], predictions: Sequence[Prediction], both: Matched) -> list[WorstComment]:
    """Comments with the most segments missed or wrong; of equal ones those with the surest mistakes, then the first."""
    counts = both.leaf_counts()
    faults = counts[:, 1] + counts[:, 2] - 2 * counts[:, 0]
    sure = [max((min(s.confidence.values(), default=0.0) for s in p.segments), default=0.0) for p in predictions]
    order = sorted(np.flatnonzero(faults).tolist(), key=lambda n: (-faults[n], -sure[n], n))
    return [
        WorstComment(
            id=gold[n].id,
            comment=gold[n].comment,
            faults=int(faults[n]),
            gold=[GoldExample(_content(gold[n], s), " > ".join(s.path)) for s in gold[n].segments],
            predicted=[
                PredictedExample(_content(gold[n], s), " > ".join(s.path), min(s.confidence.values(), default=None))
                for s in predictions[n].segments
            ],
        )
        for n in order[:EXAMPLES]
    ]


def _content(comment: LabelledComment, segment: Stretch) -> str | None:
    return comment.comment[segment.start : segment.end] if segment.start < segment.end else None
