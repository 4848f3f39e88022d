"""`bench scores`: how long scoring takes, beside a plain loop that gives the same figures."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_recall_fscore_support

from eval.bench.machine import Machine, this_machine
from eval.scoring.align import align
from eval.scoring.predictions import Prediction, Segment
from eval.scoring.scores import Scores, score
from eval.scoring.tally import Rates, Tally
from taxonomy.comments import LabelledComment
from taxonomy.labels import EMOTIONS, LEVELS, LabelPath


@dataclass(frozen=True, slots=True)
class SegmentTotals:
    """Of all comments together."""

    gold: int
    predicted: int


@dataclass(frozen=True, slots=True)
class RatioRange:
    """The middle of the rounds' ratios, and their range."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ScoringFigures:
    """seconds, median_s: of `scores` and of the `naive` loop; ratio: how many times longer the loop takes."""

    predictions: int
    segments: SegmentTotals
    seconds: dict[str, list[float]]
    median_s: dict[str, float]
    ratio: RatioRange
    equal: bool
    machine: Machine


def bench_scores(
    comments: Sequence[LabelledComment], count: int, rounds: int, say: Callable[[str], None]
) -> ScoringFigures:
    """Seconds of both in turn, for so many predictions; `equal` says whether all figures are, to 12 digits."""
    gold = [
        LabelledComment(f"{n}", c.comment, c.segments)
        for n, c in enumerate(comments[n % len(comments)] for n in range(count))
    ]
    predicted = list(worsened(gold))
    seconds: dict[str, list[float]] = {"scores": [], "naive": []}
    results: dict[str, Scores] = {}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, work in (("scores", figures), ("naive", naive)):
            start = time.perf_counter()
            results[name] = work(gold, predicted)
            seconds[name].append(round(time.perf_counter() - start, 3))
    ratios = sorted(slow / fast for slow, fast in zip(seconds["naive"], seconds["scores"], strict=True))
    return ScoringFigures(
        predictions=count,
        segments=SegmentTotals(sum(len(c.segments) for c in gold), sum(len(p.segments) for p in predicted)),
        seconds=seconds,
        median_s={name: median(each) for name, each in seconds.items()},
        ratio=RatioRange(median(ratios), ratios[0], ratios[-1]),
        equal=_rounded(results["scores"].as_json()) == _rounded(results["naive"].as_json()),
        machine=this_machine(),
    )


def _rounded(value: Any) -> Any:
    """Without the digits that the order of a sum decides."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return round(value, 12) if isinstance(value, float) else value


def worsened(gold: Sequence[LabelledComment], seed: int = 0) -> Iterator[Prediction]:
    """Predictions with faults of every kind: segments missed, cut in two, moved, with another leaf or emotion."""
    rng = random.Random(seed)
    paths = sorted({s.path for comment in gold for s in comment.segments})
    for comment in gold:
        segments: list[Segment] = []
        for s in comment.segments:
            path = s.path if rng.random() < 0.6 else rng.choice(paths)  # noqa: PLR2004 (shares read best in place)
            emotion = s.emotion if rng.random() < 0.8 else rng.choice(EMOTIONS)  # noqa: PLR2004
            middle = rng.randint(s.start + 1, s.end)
            match rng.choice(["same"] * 6 + ["missed", "cut", "shorter", "nowhere"]):
                case "same":
                    segments.append(Segment(s.start, s.end, path, emotion))
                case "cut":
                    segments += [Segment(a, b, path, emotion) for a, b in ((s.start, middle), (middle, s.end)) if a < b]
                case "shorter":
                    segments.append(Segment(s.start, middle, path, emotion))
                case "nowhere":
                    segments.append(Segment(0, 0, path, emotion))
        yield Prediction(comment.id, tuple(segments))


def figures(gold: Sequence[LabelledComment], predicted: Sequence[Prediction]) -> Scores:
    """What both compute, as `score` does it. The interval is left out: its draws differ."""
    return replace(score(gold, predicted), leaf_interval=None)


def naive(gold: Sequence[LabelledComment], predicted: Sequence[Prediction]) -> Scores:
    """The definitions word by word: a loop over comments, a matching in each, sets of characters, labels as text."""
    counts: Counter[str] = Counter()
    labels: list[tuple[str, str]] = []
    emotions: list[tuple[str, str]] = []
    for comment, prediction in zip(gold, predicted, strict=True):
        g, p = comment.segments, prediction.segments
        pairs = align(g, p)
        counts["gold"] += len(g)
        counts["predicted"] += len(p)
        counts["aligned"] += len(pairs)
        for level, name in enumerate(LEVELS, 1):
            counts[f"gold {name}"] += sum(len(s.path) >= level for s in g)
            counts[f"predicted {name}"] += sum(len(s.path) >= level for s in p)
        for i, j in pairs:
            counts["strict"] += (g[i].start, g[i].end) == (p[j].start, p[j].end)
            for level, name in enumerate(LEVELS, 1):
                counts[name] += len(g[i].path) >= level and g[i].path[:level] == p[j].path[:level]
            counts["leaf"] += g[i].path == p[j].path
            labels.append((_text(g[i].path), _text(p[j].path)))
            emotions.append((g[i].emotion, p[j].emotion))
        labels += [(_text(s.path), "") for i, s in enumerate(g) if i not in {pair.gold for pair in pairs}]
        labels += [("", _text(s.path)) for j, s in enumerate(p) if j not in {pair.predicted for pair in pairs}]
        own, other = {s.path for s in g}, {s.path for s in p}
        counts["set right"] += len(own & other)
        counts["set gold"] += len(own)
        counts["set predicted"] += len(other)
        characters = {at for s in g for at in range(s.start, s.end)}
        counts["characters"] += len(characters)
        counts["covered"] += len(characters & {at for s in p for at in range(s.start, s.end)})
        counts["verbatim"] += sum(s.start < s.end for s in p)
    return _naive_scores(counts, labels, emotions)


def _text(path: LabelPath) -> str:
    return " > ".join(path)


def _naive_scores(counts: Counter[str], labels: list[tuple[str, str]], emotions: list[tuple[str, str]]) -> Scores:
    true, given = zip(*labels, strict=True)
    names = sorted({*true, *given} - {""})
    averages = {
        average: Rates(
            *map(
                float, precision_recall_fscore_support(true, given, labels=names, average=average, zero_division=0)[:3]
            )
        )
        for average in ("macro", "weighted")
    }
    sizes = counts["predicted"], counts["gold"]
    levels = {name: Tally(counts[name], counts[f"predicted {name}"], counts[f"gold {name}"]) for name in LEVELS}
    hierarchical = sum(levels.values(), Tally(0, 0, 0))
    return Scores(
        levels=levels,
        leaf=Tally(counts["leaf"], *sizes),
        macro=averages["macro"],
        weighted=averages["weighted"],
        leaf_interval=None,
        hierarchical=hierarchical,
        lca_depth=hierarchical.right / counts["aligned"],
        label_set=Tally(counts["set right"], counts["set predicted"], counts["set gold"]),
        span=Tally(counts["aligned"], *sizes),
        span_strict=Tally(counts["strict"], *sizes),
        coverage=counts["covered"] / counts["characters"],
        verbatim=counts["verbatim"] / counts["predicted"],
        emotion=Tally(sum(g == p for g, p in emotions), len(emotions), len(emotions)),
        emotion_macro_f1=float(f1_score(*np.array(emotions).T, average="macro", zero_division=0)),
        emotions={name: _naive_tally(name, emotions) for name in EMOTIONS},
        tail=None,
        groups=None,
        teams=None,
    )


def _naive_tally(name: str, emotions: list[tuple[str, str]]) -> Tally:
    given, true = (sum(own[side] == name for own in emotions) for side in (1, 0))
    return Tally(emotions.count((name, name)), given, true)
