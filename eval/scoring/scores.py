"""Scores of predicted comments against gold ones; `docs/scores.md` defines each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import f1_score, precision_recall_fscore_support

from eval.scoring.align import overlapping, shared
from eval.scoring.columns import Columns, Numbers
from eval.scoring.matched import Matched, Predicted, Verdicts, matched
from eval.scoring.tally import Rates, Tally, f1_interval
from eval.scoring.teams import team_names, team_numbers
from taxonomy.comments import LabelledComment
from taxonomy.labels import EMOTIONS, LEVELS, LabelPath
from taxonomy.tree import Taxonomy

TAIL: Final = {"0": 0, "1-5": 5, "6-20": 20, "21-100": 100, "over 100": None}
"""Leaves by how many training segments they have: the most of each bin."""
NOBODY: Final = -1
"""The label of a segment that is not there."""


@dataclass(frozen=True, slots=True)
class Always:
    """An emotion, and the accuracy of giving it to every segment."""

    emotion: str
    accuracy: float


@dataclass(frozen=True)
class Scores:
    """Micro tallies by name; what could not be scored is None.

    levels: L1 down: the path to that level is right on an aligned segment; of segments whose paths reach it. leaf: the
    whole path, wherever it ends; of all segments. macro, weighted: of leaves, averaged over labels. span: the alignment
    alone; strict where the bounds are equal. emotion: right emotions among aligned segments; emotions: the same of
    each. tail, groups, teams: by training frequency of the leaf, by group of the comment, by team.
    """

    levels: dict[str, Tally]
    leaf: Tally
    macro: Rates
    weighted: Rates
    leaf_interval: tuple[float, float] | None
    hierarchical: Tally
    lca_depth: float | None
    label_set: Tally
    span: Tally
    span_strict: Tally
    coverage: float | None
    verbatim: float | None
    emotion: Tally
    emotion_macro_f1: float | None
    emotions: dict[str, Tally]
    tail: dict[str, Tally] | None
    groups: dict[str, Tally] | None
    teams: dict[str, Tally] | None

    @property
    def always(self) -> Always | None:
        """The commonest emotion of the aligned gold segments, which a prediction has to beat."""
        if not self.emotion.gold:
            return None
        name = max(self.emotions, key=lambda emotion: self.emotions[emotion].gold)
        return Always(name, self.emotions[name].gold / self.emotion.gold)

    def as_json(self) -> dict[str, Any]:
        """As commands print it and manifests keep it."""
        return {
            "leaf": {
                "micro": asdict(self.leaf.rates),
                "macro": asdict(self.macro),
                "weighted": asdict(self.weighted),
                "f1_95": self.leaf_interval and list(self.leaf_interval),
            },
            "levels": {name: asdict(tally.rates) for name, tally in self.levels.items()},
            "hierarchical": asdict(self.hierarchical.rates) | {"lca_depth": self.lca_depth},
            "label_set": asdict(self.label_set.rates),
            "span": {"strict": asdict(self.span_strict.rates), "partial": asdict(self.span.rates)},
            "coverage": self.coverage,
            "verbatim": self.verbatim,
            "emotion": {
                "macro_f1": self.emotion_macro_f1,
                "accuracy": self.emotion.recall,
                "always": self.always and asdict(self.always),
                "emotions": _parts(self.emotions),
            },
            "tail": self.tail and _parts(self.tail),
            "groups": self.groups and _parts(self.groups),
            "routing": self.teams and _routing(self.teams),
            "segments": {"gold": self.span.gold, "predicted": self.span.predicted, "aligned": self.span.right},
        }


def _parts(tallies: Mapping[str, Tally]) -> dict[str, dict[str, float | None]]:
    return {name: asdict(tally.rates) | {"segments": tally.gold} for name, tally in tallies.items()}


def _routing(teams: Mapping[str, Tally]) -> dict[str, object]:
    each = {name: {"accuracy": tally.recall, "segments": tally.gold} for name, tally in teams.items()}
    return {"accuracy": sum(teams.values(), Tally(0, 0, 0)).recall, "teams": each}


def score(
    gold: Sequence[LabelledComment],
    predicted: Sequence[Predicted],
    taxonomy: Taxonomy | None = None,
    seen: Mapping[LabelPath, int] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Scores:
    """Both in the same order of comments. Raises ValueError where ids differ.

    taxonomy: gives each leaf its team. seen: how many training segments each leaf has. groups: of each comment by its
    id, such as its language. Without one of them its scores are None.
    """
    both = matched(gold, predicted)
    depth = max(both.paths.depth, taxonomy.depth if taxonomy else 0)
    ancestors = hierarchical(both)
    return Scores(
        levels={LEVELS[n - 1]: both.tally_at(n) for n in range(1, depth + 1)},
        leaf=both.tally(both.right_leaf),
        macro=_averaged(both, "macro"),
        weighted=_averaged(both, "weighted"),
        leaf_interval=f1_interval(both.leaf_counts()),
        hierarchical=ancestors,
        lca_depth=ancestors.right / both.pairs.gold.size if both.pairs.gold.size else None,
        label_set=_label_sets(both),
        span=both.tally(np.ones(both.pairs.gold.size, dtype=bool)),
        span_strict=both.tally(
            both.equal(both.gold.start, both.predicted.start) & both.equal(both.gold.end, both.predicted.end)
        ),
        coverage=_coverage(both),
        verbatim=float(np.mean(both.predicted.lengths > 0)) if both.predicted.size else None,
        emotion=Tally(int(both.right_emotion.sum()), both.pairs.gold.size, both.pairs.gold.size),
        emotion_macro_f1=_emotion_macro_f1(both),
        emotions=_emotions(both),
        tail=None if seen is None else _tail(both, seen),
        groups=None if groups is None else _groups(both, [groups[comment.id] for comment in gold]),
        teams=None if taxonomy is None else _teams(both, taxonomy),
    )


def leaf_labels(both: Matched) -> tuple[Numbers, Numbers]:
    """Leaf codes, gold beside predicted: of each pair, of each gold segment left over, of each predicted one left over.

    Beside one left over stands NOBODY.
    """
    alone_gold = np.delete(both.gold.path, both.pairs.gold)
    alone_predicted = np.delete(both.predicted.path, both.pairs.predicted)
    true = [both.gold.path[both.pairs.gold], alone_gold, np.full(alone_predicted.size, NOBODY)]
    given = [both.predicted.path[both.pairs.predicted], np.full(alone_gold.size, NOBODY), alone_predicted]
    return np.concatenate(true), np.concatenate(given)


def _averaged(both: Matched, average: str) -> Rates:
    true, given = leaf_labels(both)
    labels = np.setdiff1d(np.union1d(true, given), [NOBODY])
    if not labels.size:
        return Rates(None, None, None)
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, given, labels=labels, average=average, zero_division=0
    )
    return Rates(
        float(precision) if both.predicted.size else None, float(recall) if both.gold.size else None, float(f1)
    )


def hierarchical(both: Matched) -> Tally:
    """Ancestors (a leaf is its own) that both paths of a pair have; all of the predicted, all of the gold ones."""
    return sum((both.tally_at(n) for n in range(1, both.paths.depth + 1)), Tally(0, 0, 0))


def _label_sets(both: Matched) -> Tally:
    """Each leaf of a comment once, wherever it stands."""
    gold, predicted = (
        np.unique(side.comment * len(both.paths.codes) + side.path) for side in (both.gold, both.predicted)
    )
    return Tally(np.intersect1d(gold, predicted, assume_unique=True).size, predicted.size, gold.size)


def _coverage(both: Matched) -> float | None:
    """Of the characters in gold segments, the share that some predicted segment holds."""
    characters = both.gold.lengths.sum()
    held = _merged(both.predicted)
    return float(shared(both.gold, held, overlapping(both.gold, held)).sum() / characters) if characters else None


def _merged(segments: Columns) -> Columns:
    """The same characters in disjoint stretches."""
    ordered = Columns(*(column[np.argsort(segments.start, kind="stable")] for column in segments))
    end = np.maximum.accumulate(ordered.end)
    opens = np.flatnonzero(np.append(True, ordered.start[1:] > end[:-1])[: end.size])
    closes = np.append(opens[1:] - 1, end.size - 1)[: opens.size]
    return Columns(*(column[opens] for column in ordered))._replace(end=end[closes])


def _emotion_macro_f1(both: Matched) -> float | None:
    true = both.gold.emotion[both.pairs.gold]
    given = both.predicted.emotion[both.pairs.predicted]
    labels = np.setdiff1d(np.union1d(true, given), [len(EMOTIONS)])
    return float(f1_score(true, given, labels=labels, average="macro", zero_division=0)) if true.size else None


def _emotions(both: Matched) -> dict[str, Tally]:
    """Of the aligned segments those that have an emotion, and those that were given it."""
    gold, given = both.gold.emotion[both.pairs.gold], both.predicted.emotion[both.pairs.predicted]
    sides = [(gold == code, given == code) for code in range(len(EMOTIONS))]
    tallies = [Tally(int((own & said).sum()), int(said.sum()), int(own.sum())) for own, said in sides]
    return dict(zip(EMOTIONS, tallies, strict=True))


def _tail(both: Matched, seen: Mapping[LabelPath, int]) -> dict[str, Tally]:
    most = [n for n in TAIL.values() if n is not None]
    of_path = np.searchsorted(most, both.paths.each(lambda path: seen.get(path, 0)))
    return _by(both, both.right_leaf, of_path[both.gold.path], of_path[both.predicted.path], list(TAIL))


def _groups(both: Matched, names: Sequence[str]) -> dict[str, Tally]:
    known, of_comment = np.unique(names, return_inverse=True)
    sides = of_comment[both.gold.comment], of_comment[both.predicted.comment]
    return _by(both, both.right_leaf, *sides, known.tolist())


def _teams(both: Matched, taxonomy: Taxonomy) -> dict[str, Tally]:
    names, number = team_names(taxonomy), team_numbers(both.paths, taxonomy)
    gold, predicted = number[both.gold.path], number[both.predicted.path]
    tallies = _by(both, both.equal(gold, predicted), gold, predicted, names)
    return {name: tally for name, tally in tallies.items() if name}


def _by(both: Matched, right: Verdicts, gold: Numbers, predicted: Numbers, names: Sequence[str]) -> dict[str, Tally]:
    """A tally of each group of segments, by the numbers of their groups."""
    return {name: both.tally(right, gold == code, predicted == code) for code, name in enumerate(names)}
