"""What has changed between a reference and today's traffic, without gold: labels, confidence, residue, new topics."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from eval.scoring.predictions import path_of, read_rows
from taxonomy import command_line
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.labels import LEVELS, LabelPath

DRAWS: Final = 500
MOVED: Final = 5
Reals = NDArray[np.float64]


class Said(NamedTuple):
    """A segment of the traffic; `sure` is the least of its confidences, None where it has none."""

    content: str
    path: LabelPath
    sure: float | None


class Traffic(NamedTuple):
    """What was answered: segments, and of each comment its characters and those in residue."""

    segments: list[Said]
    characters: list[int]
    residue: list[int]


def read_traffic(file: Path) -> Traffic:
    """The service's answers or predictions. Raises DataInvalid where a line holds neither comment nor residue."""
    traffic = Traffic([], [], [])
    for row in read_rows(file):
        said = [_said(row.where, index, segment) for index, segment in enumerate(row.segments)]
        labelled = sum(len(each.content) for each in said)
        if row.comment is not None:
            residue = max(0, len(row.comment) - labelled)
        elif row.residue is not None:
            residue = sum(len(str(part.get("content", ""))) for part in row.residue)
        else:
            raise DataInvalid(f"{row.where}: neither comment nor residue, so the share of residue cannot be told")
        traffic.segments.extend(said)
        traffic.characters.append(labelled + residue)
        traffic.residue.append(residue)
    if not traffic.characters:
        raise DataInvalid(f"{file} has no comments")
    return traffic


def _said(where: str, index: int, segment: dict[str, Any]) -> Said:
    content, path = segment.get("content"), path_of(segment)
    if not isinstance(content, str) or not path:
        raise DataInvalid(f"{where}: segments[{index}] has no content or no L1")
    given = segment.get("confidence") or {}
    if not isinstance(given, dict) or not all(type(p) in (int, float) and 0 <= p <= 1 for p in given.values()):
        raise DataInvalid(f"{where}: segments[{index}].confidence is not a probability for each level")
    return Said(content, path, min(given.values()) if given else None)


def drift(reference: Traffic, traffic: Traffic, below: float) -> dict[str, Any]:
    """Every figure of `docs/drift.md`. below: segments less sure than this are looked through for new topics."""
    depth = max((len(s.path) for side in (reference, traffic) for s in side.segments), default=0)
    sides = (reference, traffic)
    unsure = [s.content for s in traffic.segments if s.sure is not None and s.sure < below]
    return {
        "comments": [len(side.characters) for side in sides],
        "segments": [len(side.segments) for side in sides],
        "labels": {LEVELS[n - 1]: _labels(reference, traffic, n) for n in range(1, depth + 1)},
        "confidence": _confidence(reference, traffic),
        "residue": [sum(side.residue) / max(1, sum(side.characters)) for side in sides],
        "unsure": len(unsure),
        "topics": topics(unsure),
    }


def _labels(reference: Traffic, traffic: Traffic, level: int) -> dict[str, Any] | None:
    """None where either side has no segment."""
    counted = [Counter(" > ".join(s.path[:level]) for s in side.segments) for side in (reference, traffic)]
    names = sorted(counted[0].keys() | counted[1].keys())
    counts = np.array([[count[name] for name in names] for count in counted], dtype=float)
    if not counts.sum(axis=1).all():
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[:MOVED]
    found, by_chance = psi(*counts), chance(*counts)
    return {
        "psi": found,
        "psi_by_chance_95": by_chance,
        "drifted": found > by_chance,
        "jsd": float(jensenshannon(*shares, base=2) ** 2),
        "moved": [{"label": names[n], "reference": float(shares[0, n]), "now": float(shares[1, n])} for n in order],
    }


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


def _confidence(reference: Traffic, traffic: Traffic) -> dict[str, Any] | None:
    """Of the least confidence of each segment; None where a side has none."""
    sides = [np.array([s.sure for s in side.segments if s.sure is not None]) for side in (reference, traffic)]
    if not all(side.size for side in sides):
        return None
    test = ks_2samp(*sides)
    quartiles = [np.quantile(side, [0.25, 0.5, 0.75]).tolist() for side in sides]
    return {"quartiles": quartiles, "ks": float(test.statistic), "p": float(test.pvalue)}


def topics(texts: Sequence[str], least: int = 5, most: int = 10) -> list[dict[str, Any]]:
    """Groups of at least so many alike texts, the largest first; what is like nothing else is in none.

    Alike: close in latent semantic space of word and character n-grams (any language), by HDBSCAN.
    """
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 (scikit-learn takes seconds to import)
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.preprocessing import normalize  # noqa: PLC0415

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
    found: list[dict[str, Any]] = []
    for number in range(group.max() + 1):
        own = np.flatnonzero(group == number)
        nearest = own[np.argsort(-(places[own] @ places[own].mean(axis=0)), kind="stable")]
        examples = list(dict.fromkeys(written[n].strip() for n in nearest))[:3]
        found.append({"segments": len(own), "words": _words([written[n] for n in own], written), "examples": examples})
    return sorted(found, key=lambda topic: -topic["segments"])[:most]


def _words(own: Sequence[str], everywhere: Sequence[str]) -> list[str]:
    """The words most over-represented in a group, by share of texts that hold them; of equal ones the longer first."""

    def shares(texts: Sequence[str]) -> Counter[str]:
        return Counter(
            word for text in texts for word in {w.strip(".,;:!?()\"'") for w in text.lower().split()} if word
        )

    inside, outside = shares(own), shares(everywhere)
    lift = {word: count / len(own) - outside[word] / len(everywhere) for word, count in inside.items()}
    return sorted(lift, key=lambda word: (-lift[word], -len(word), word))[:5]


def add_drift(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval drift`."""
    parser.add_argument("--reference", type=Path, required=True, help="JSONL of answers from when all was well")
    parser.add_argument("--traffic", type=Path, required=True, help="JSONL of answers to look at")
    parser.add_argument("--below", type=float, default=0.5, help="look for topics in segments less sure than this")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_drift)


def _drift(given: argparse.Namespace) -> int:
    if not 0 <= given.below <= 1:
        raise CallWrong(f"--below {given.below} is no probability: give one from 0 to 1")
    value = drift(read_traffic(given.reference), read_traffic(given.traffic), given.below)
    command_line.tell(value, "\n".join(_text(value)), as_json=given.json)
    return 0


def _text(value: dict[str, Any]) -> list[str]:
    lines = ["comments: {} then, {} now; segments: {}, {}".format(*value["comments"], *value["segments"])]
    for name, found in value["labels"].items():
        if found is None:
            lines.append(f"{name}: not scored, one side has no segments")
            continue
        said = "drifted" if found["drifted"] else "within chance"
        lines.append(
            f"{name}: PSI {found['psi']:.4f} (by chance up to {found['psi_by_chance_95']:.4f}): {said}; "
            f"JSD {found['jsd']:.4f}"
        )
        lines += [f"    {row['reference']:7.2%} -> {row['now']:7.2%}  {row['label']}" for row in found["moved"]]
    sure = value["confidence"]
    lines.append(
        "confidence: not scored, one side has none"
        if sure is None
        else f"confidence: median {sure['quartiles'][0][1]:.4f} then, {sure['quartiles'][1][1]:.4f} now; "
        f"Kolmogorov-Smirnov {sure['ks']:.4f}, p {sure['p']:.4f}"
    )
    lines.append("residue: {:.2%} of characters then, {:.2%} now".format(*value["residue"]))
    lines.append(f"{value['unsure']} unsure segments, {len(value['topics'])} topics among them")
    for topic in value["topics"]:
        lines.append(f"  {topic['segments']} segments: {', '.join(topic['words'])}")
        lines += [f"      {example}" for example in topic["examples"]]
    return lines
