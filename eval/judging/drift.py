"""What has changed between a reference and today's traffic, without gold: labels, confidence, residue, new topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from eval.scoring.predictions import JsonObject, PredictionRow, is_probability, path_of, read_rows
from taxonomy.errors import DataInvalid
from taxonomy.labels import LEVELS, LabelPath

DRAWS: Final = 500
MOVED: Final = 5
Reals = NDArray[np.float64]


class TrafficSegment(NamedTuple):
    """A segment of the traffic; `sure` is the least of its confidences, None where it has none."""

    content: str
    path: LabelPath
    sure: float | None


class Traffic(NamedTuple):
    """What was answered: segments, and of each comment its characters and those in residue.

    residue_sure: of each stretch of residue that came with one, its probability to hold no feedback.
    """

    segments: list[TrafficSegment]
    characters: list[int]
    residue: list[int]
    residue_sure: list[float]


def read_traffic(file: Path) -> Traffic:
    """The service's answers or predictions. Raises DataInvalid where a line holds neither comment nor residue."""
    traffic = Traffic([], [], [], [])
    for row in read_rows(file):
        segments = [_segment(row.where, index, segment) for index, segment in enumerate(row.segments)]
        labelled = sum(len(each.content) for each in segments)
        if row.comment is not None:
            residue = max(0, len(row.comment) - labelled)
        elif row.residue is not None:
            residue = sum(len(str(part.get("content", ""))) for part in row.residue)
        else:
            raise DataInvalid(f"{row.where}: neither comment nor residue, so the share of residue cannot be told")
        traffic.segments.extend(segments)
        traffic.characters.append(labelled + residue)
        traffic.residue.append(residue)
        traffic.residue_sure.extend(_residue_sure(row))
    if not traffic.characters:
        raise DataInvalid(f"{file} has no comments")
    return traffic


def _segment(where: str, index: int, segment: JsonObject) -> TrafficSegment:
    content, path = segment.get("content"), path_of(segment)
    if not isinstance(content, str) or not path or not path[0]:
        raise DataInvalid(f"{where}: segments[{index}] has no content or no L1")
    given = segment.get("confidence") or {}
    if not isinstance(given, dict) or not all(map(is_probability, given.values())):
        raise DataInvalid(f"{where}: segments[{index}].confidence is not a probability for each level")
    return TrafficSegment(content, path, min(given.values()) if given else None)


def _residue_sure(row: PredictionRow) -> Iterator[float]:
    for index, part in enumerate(row.residue or ()):
        given = part.get("confidence")
        if given is not None and not is_probability(given):
            raise DataInvalid(f"{row.where}: residue[{index}].confidence is not a probability")
        if given is not None:
            yield float(given)


@dataclass(frozen=True, slots=True)
class LabelShare:
    """A label's share of the segments, then and now."""

    label: str
    reference: float
    now: float


@dataclass(frozen=True, slots=True)
class LabelDrift:
    """At one level; moved: the labels whose shares moved most."""

    psi: float
    psi_by_chance_95: float
    drifted: bool
    jsd: float
    moved: list[LabelShare]


@dataclass(frozen=True, slots=True)
class ConfidenceDrift:
    """Of segments' least confidence, or of residue's: quartiles of both sides, Kolmogorov and Smirnov's test."""

    quartiles: list[list[float]]
    ks: float
    p: float


@dataclass(frozen=True, slots=True)
class Topic:
    """Alike segments: how many, words that they have more often than others, and examples."""

    segments: int
    words: list[str]
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Drift:
    """Every figure of `docs/drift.md`; of two numbers the first is the reference's.

    labels: by level, None where a side has no segment that reaches it. residue: shares of characters. confidence: None
    where a side has none. unsure: segments that were looked through for topics.
    """

    comments: tuple[int, int]
    segments: tuple[int, int]
    labels: dict[str, LabelDrift | None]
    confidence: ConfidenceDrift | None
    residue: tuple[float, float]
    residue_confidence: ConfidenceDrift | None
    unsure: int
    topics: list[Topic]


def drift(reference: Traffic, traffic: Traffic, below: float) -> Drift:
    """below: segments less sure than this are looked through for new topics."""
    depth = max((len(s.path) for side in (reference, traffic) for s in side.segments), default=0)
    unsure = [s.content for s in traffic.segments if s.sure is not None and s.sure < below]
    return Drift(
        comments=(len(reference.characters), len(traffic.characters)),
        segments=(len(reference.segments), len(traffic.segments)),
        labels={LEVELS[n - 1]: _labels(reference, traffic, n) for n in range(1, depth + 1)},
        confidence=_confidence(*([s.sure for s in t.segments if s.sure is not None] for t in (reference, traffic))),
        residue=(_residue_share(reference), _residue_share(traffic)),
        residue_confidence=_confidence(reference.residue_sure, traffic.residue_sure),
        unsure=len(unsure),
        topics=topics(unsure),
    )


def _residue_share(side: Traffic) -> float:
    return sum(side.residue) / max(1, sum(side.characters))


def _labels(reference: Traffic, traffic: Traffic, level: int) -> LabelDrift | None:
    """Of the segments whose paths reach the level; None where either side has none."""
    sides = [[s.path[:level] for s in side.segments if len(s.path) >= level] for side in (reference, traffic)]
    counted = [Counter(map(" > ".join, side)) for side in sides]
    names = sorted(counted[0].keys() | counted[1].keys())
    counts = np.array([[count[name] for name in names] for count in counted], dtype=float)
    if not counts.sum(axis=1).all():
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[:MOVED]
    found, by_chance = psi(*counts), chance(*counts)
    return LabelDrift(
        psi=found,
        psi_by_chance_95=by_chance,
        drifted=found > by_chance,
        jsd=float(jensenshannon(*shares, base=2) ** 2),
        moved=[LabelShare(names[n], float(shares[0, n]), float(shares[1, n])) for n in order],
    )


def psi(reference: Reals, now: Reals) -> float:
    """Population stability index of two counts of the same labels; half a segment more for each, so that none is 0."""
    p, q = ((side + 0.5) / (side + 0.5).sum() for side in (reference, now))
    return float(((q - p) * np.log(q / p)).sum())


def chance(reference: Reals, now: Reals) -> float:
    """The PSI that two samples of these sizes from one distribution stay under in 95 of 100 cases.

    With many labels and few segments it is far from 0, and so are the usual rules of thumb (0.1, 0.25).
    """
    pooled = (reference + now) / (reference + now).sum()
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(int(side.sum()), pooled, size=DRAWS).astype(float) for side in (reference, now)]
    return float(np.quantile([psi(a, b) for a, b in zip(*draws, strict=True)], 0.95))


def _confidence(reference: Sequence[float], now: Sequence[float]) -> ConfidenceDrift | None:
    """Of probabilities then and now; None where a side has none."""
    sides = [np.array(side) for side in (reference, now)]
    if not all(side.size for side in sides):
        return None
    test = ks_2samp(*sides)
    quartiles = [np.quantile(side, [0.25, 0.5, 0.75]).tolist() for side in sides]
    return ConfidenceDrift(quartiles, float(test.statistic), float(test.pvalue))


def topics(texts: Sequence[str], least: int = 5, most: int = 10) -> list[Topic]:
    """Groups of at least so many alike texts, the largest first; what is like nothing else is in none.

    Alike: close in latent semantic space of word and character n-grams (any language), by HDBSCAN.
    """
    written = [text for text in texts if any(c.isalnum() for c in text)]
    if len(written) < 2 * least:
        return []
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(written)
    size = min(50, min(grams.shape) - 1)
    if size < 1:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):  # texts that are all equal have no variance to explain
        places = normalize(TruncatedSVD(size, random_state=0).fit_transform(grams))
    group = HDBSCAN(min_cluster_size=least, copy=True).fit_predict(places)
    found: list[Topic] = []
    for number in range(group.max() + 1):
        own = np.flatnonzero(group == number)
        nearest = own[np.argsort(-(places[own] @ places[own].mean(axis=0)), kind="stable")]
        examples = list(dict.fromkeys(written[n].strip() for n in nearest))[:3]
        found.append(Topic(len(own), _words([written[n] for n in own], written), examples))
    return sorted(found, key=lambda topic: -topic.segments)[:most]


def _words(own: Sequence[str], everywhere: Sequence[str]) -> list[str]:
    """The words most over-represented in a group, by share of texts that hold them; of equal ones the longer first."""

    def shares(texts: Sequence[str]) -> Counter[str]:
        return Counter(
            word for text in texts for word in {w.strip(".,;:!?()\"'") for w in text.lower().split()} if word
        )

    inside, outside = shares(own), shares(everywhere)
    lift = {word: count / len(own) - outside[word] / len(everywhere) for word, count in inside.items()}
    return sorted(lift, key=lambda word: (-lift[word], -len(word), word))[:5]
