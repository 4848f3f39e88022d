"""What a report shows, as one value: HTML, Markdown and JSON are made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from eval.commands.voc import counted
from eval.judging.calibrate import confidences, ece, reliability, risk_coverage
from eval.judging.compare import compare
from eval.judging.paired import drops
from eval.scoring.matched import Matched, matched
from eval.scoring.predictions import Prediction, Predictions
from eval.scoring.scores import Scores, score
from eval.scoring.seed_compat import seed_compat
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.comments import LabelledComment
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.tree import Taxonomy

STUDY: Final = (
    {"model": "Nova 2 Lite", "trained_on": "nothing (base)", "f1": 0.387, "mmlu": 0.75},
    {"model": "Nova 2 Lite", "trained_on": "customer data", "f1": 0.5537, "mmlu": 0.47},
    {"model": "Nova 2 Lite", "trained_on": "75% customer, 25% general", "f1": 0.5, "mmlu": 0.74},
    {"model": "Qwen3-30B-A3B", "trained_on": "nothing (base)", "f1": 0.394, "mmlu": None},
    {"model": "Qwen3-30B-A3B", "trained_on": "customer data", "f1": 0.5552, "mmlu": 0.0038},
)
"""The study's table: its own F1, its MMLU."""
CONFUSIONS: Final = 8
EXAMPLES: Final = 8
POINTS: Final = 40


class Side(NamedTuple):
    """One set of predictions and, where there is one, the manifest of the checkpoint that made them."""

    name: str
    read: Predictions
    manifest: Manifest | None = None


def report(
    gold: Sequence[LabelledComment],
    sides: Sequence[Side],
    taxonomy: Taxonomy,
    seen: Mapping[LabelPath, int] | None = None,
    groups: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The first side is the candidate, a second one the baseline. seen, groups: as for `score`."""
    candidate = sides[0]
    both = matched(gold, candidate.read.predictions)
    second = sides[1].read.predictions if len(sides) > 1 else None
    return {
        "comments": len(gold),
        "taxonomy": taxonomy.version,
        "sides": [_side(gold, side, score(gold, side.read.predictions, taxonomy, seen, groups)) for side in sides],
        "comparison": None if second is None else compare(gold, candidate.read.predictions, second).as_json(),
        "general_drops": _drops(sides),
        "study": list(STUDY),
        "tree": where_wrong(both),
        "confusions": confusions(both),
        "trust": _trust(gold, candidate.read.predictions),
        "worst": worst(gold, candidate.read.predictions, both),
        "decision": _decision(candidate.manifest),
    }


def _side(gold: Sequence[LabelledComment], side: Side, scores: Scores) -> dict[str, Any]:
    manifest = side.manifest
    return {
        "name": side.name,
        "checkpoint": manifest.version if manifest else None,
        "scores": scores.as_json(),
        "seed_compat": seed_compat(
            {comment.id: [_labels(s.path) for s in comment.segments] for comment in gold},
            {p.id: [_labels(s.path) for s in p.segments] for p in side.read.predictions},
        ),
        "general": _general(manifest.scores) if manifest else {},
        "input": counted(side.read.faults),
    }


def _labels(path: LabelPath) -> dict[str, str]:
    return dict(zip(LEVELS, path, strict=False))


def _general(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with a value, by benchmark and name; per-subject ones are left to the manifest."""
    return {
        f"{benchmark}.{name}": {key: figure.get(key) for key in ("value", "stderr", "count")}
        for benchmark, figures in (scores.get("general") or {}).items()
        if isinstance(figures, dict)
        for name, figure in figures.items()
        if isinstance(figure, dict) and "value" in figure
    }


def _drops(sides: Sequence[Side]) -> dict[str, dict[str, Any]]:
    """Of every general figure that both were asked the same questions for: the drop, pair by pair."""
    manifests = [side.manifest for side in sides]
    if len(manifests) < 2 or not manifests[0] or not manifests[1]:  # noqa: PLR2004 (a candidate and a baseline)
        return {}
    found = drops(manifests[0].scores, manifests[1].scores)
    return {
        name: {
            "drop": pairs.drop,
            "upper_95": pairs.upper,
            "pairs": pairs.asked,
            "lost": pairs.test.only_baseline,
            "gained": pairs.test.only_candidate,
            "p": pairs.test.p,
        }
        for name, pairs in found.items()
    }


def _decision(manifest: Manifest | None) -> dict[str, Any] | None:
    return manifest.decision.model_dump(mode="json") if manifest and manifest.decision else None


def where_wrong(both: Matched) -> list[dict[str, Any]]:
    """Of the gold segments: how many are right, go wrong first at which level, or have no partner."""
    right = [both.right_at(level) for level in range(1, both.paths.depth + 1)]
    counts = [int(level.sum()) for level in right]
    first = {
        f"wrong from {LEVELS[n]} on": before - after
        for n, (before, after) in enumerate(zip([both.pairs.gold.size, *counts], counts, strict=False))
    }
    rows = {"right": counts[-1]} | dict(reversed(first.items())) | {"missed": both.gold.size - both.pairs.gold.size}
    return [{"what": what, "segments": count} for what, count in rows.items()]


def confusions(both: Matched) -> dict[str, list[dict[str, Any]]]:
    """At each level the most frequent mistakes among pairs that are right above it."""
    paths = list(both.paths.codes)
    above = np.ones(both.pairs.gold.size, dtype=bool)
    found = {}
    for level in range(1, both.paths.depth + 1):
        right = both.right_at(level)
        wrong = np.flatnonzero(above & ~right)
        sides = both.gold.path[both.pairs.gold[wrong]], both.predicted.path[both.pairs.predicted[wrong]]
        pairs = Counter((paths[g][:level], paths[p][:level]) for g, p in zip(*sides, strict=True))
        found[LEVELS[level - 1]] = [
            {"gold": " > ".join(gold), "predicted": " > ".join(predicted), "segments": count}
            for (gold, predicted), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
        ]
        above = right
    return found


def _trust(gold: Sequence[LabelledComment], predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    """Reliability by level and risk against coverage; None where no segment carries confidences."""
    if not any(s.confidence for p in predictions for s in p.segments):
        return None
    found = confidences(gold, predictions)
    leaf = list(found.right)[-2]
    surest = np.minimum.reduce(list(found.probability.values()))
    risks = risk_coverage(surest, ~(found.right[leaf] & found.right["emotion"]))
    chosen = sorted({round(n) for n in np.linspace(0, len(risks) - 1, POINTS)})
    levels = {}
    for name, known in found.known.items():
        probability, right = found.probability[name][known], found.right[name][known]
        if known.any():
            bins = [each._asdict() for each in reliability(probability, right)]
            levels[name] = {"ece": ece(probability, right), "bins": bins}
    return {"levels": levels, "risk": [risks[n]._asdict() for n in chosen]}


def worst(gold: Sequence[LabelledComment], predictions: Sequence[Prediction], both: Matched) -> list[dict[str, Any]]:
    """Comments with the most segments missed or wrong; of equal ones those with the surest mistakes, then the first."""
    counts = both.leaf_counts()
    faults = counts[:, 1] + counts[:, 2] - 2 * counts[:, 0]
    sure = [max((min(s.confidence.values(), default=0.0) for s in p.segments), default=0.0) for p in predictions]
    order = sorted(np.flatnonzero(faults).tolist(), key=lambda n: (-faults[n], -sure[n], n))
    return [
        {
            "id": gold[n].id,
            "comment": gold[n].comment,
            "faults": int(faults[n]),
            "gold": [_shown(gold[n].comment, s.start, s.end, s.path) for s in gold[n].segments],
            "predicted": [
                _shown(gold[n].comment, s.start, s.end, s.path)
                | {"sure": min(s.confidence.values()) if s.confidence else None}
                for s in predictions[n].segments
            ],
        }
        for n in order[:EXAMPLES]
    ]


def _shown(comment: str, start: int, end: int, path: LabelPath) -> dict[str, Any]:
    return {"content": comment[start:end] if start < end else None, "path": " > ".join(path)}
