"""Predictions as they come, good or bad: what is wrong with them is named and counted, and all of it is scored."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.jsonl import Row, id_text, parsed, without_faults
from taxonomy.labels import EMOTIONS, LEVELS, LabelPath
from taxonomy.tree import Taxonomy

FAULTS: Final[dict[str, str]] = {
    "missing": "gold comments without a prediction: scored as empty predictions",
    "extra": "predictions of comments that are not in the gold: not scored",
    "repeated": "further predictions of one comment: the first is scored",
    "other_taxonomy": "predictions that name another taxonomy: their labels are scored as they stand",
    "other_comment": "predictions with another text than the gold's: their segments are sought in the gold's",
    "not_in_comment": "segments that do not stand in the comment: each is a wrong prediction, aligned with nothing",
    "overlapping": "segments on characters of another: at most one of them is aligned with a gold segment",
    "not_in_taxonomy": "segments whose path is no leaf of the taxonomy: scored as it stands, routed to no team",
    "no_emotion": "segments whose emotion is none of the three: the emotion is wrong",
    "residue_not_in_comment": "residue that does not stand in the comment: its probability is not looked at",
    "gold_not_in_taxonomy": "gold segments whose path is no leaf of the taxonomy: of no team, so not scored there",
    "alternative_not_in_taxonomy": "other right paths of gold segments that are no leaf of the taxonomy: right even so",
}
"""What can be wrong, and how it is scored."""

Faults = dict[str, list[str]]
"""Of each kind of fault, what has it: a comment's id, or an id and a segment's index."""

JsonObject = dict[str, Any]
"""An object of a file's line, of which nothing but its being one is known."""

_FIELDS: Final = {"id", "comment", "segments", "checkpoint", "taxonomy", "needs_review", "residue", "metadata", "index"}


class Segment(NamedTuple):
    """A predicted segment; one that stands nowhere in the comment has start == end == 0."""

    start: int
    end: int
    path: LabelPath
    emotion: str
    confidence: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class FaultCount:
    """How many have a fault, and which."""

    count: int
    names: list[str]


class ResidueSpan(NamedTuple):
    """A stretch that was predicted to hold no feedback, and how surely."""

    start: int
    end: int
    confidence: float


class Prediction(NamedTuple):
    """A comment's predicted segments in the order given, and its residue where that came with a probability."""

    id: str
    segments: tuple[Segment, ...]
    residue: tuple[ResidueSpan, ...] = ()


class Predictions(NamedTuple):
    """One prediction for each gold comment, in the gold's order."""

    predictions: list[Prediction]
    faults: Faults


class PredictionRow(NamedTuple):
    """A line of a predictions file; what the line does not say is None."""

    where: str
    id: str
    comment: str | None
    taxonomy: str | None
    segments: list[JsonObject]
    checkpoint: str | None = None
    residue: list[JsonObject] | None = None


def read_gold(file: Path) -> list[LabelledComment]:
    """Gold comments. Raises DataInvalid where a row is at fault, an id stands twice, or there is none."""
    with uncollected():
        gold = list(read_comments(file))
    seen: set[str] = set()
    for number, comment in enumerate(gold, 1):
        if comment.id in seen:
            raise DataInvalid(f"{file}: the id {comment.id!r} of comment {number} stands there twice")
        seen.add(comment.id)
    if not gold:
        raise DataInvalid(f"{file} has no comments")
    return gold


def read_predictions(file: Path, gold: Sequence[LabelledComment], taxonomy: Taxonomy | None) -> Predictions:
    """What was predicted for each gold comment. Raises DataInvalid for a line that cannot be read at all."""
    with uncollected():
        return match(read_rows(file), gold, taxonomy)


@contextmanager
def uncollected() -> Iterator[None]:
    """While many rows are made and all kept, the garbage collector would walk them again and again for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def match(rows: Iterable[PredictionRow], gold: Sequence[LabelledComment], taxonomy: Taxonomy | None) -> Predictions:
    """Rows in any order, brought into the gold's."""
    faults: Faults = {kind: [] for kind in FAULTS}
    found: dict[str, PredictionRow] = {}
    expected = {comment.id for comment in gold}
    for row in rows:
        if row.id not in expected:
            faults["extra"].append(row.id)
        elif row.id in found:
            faults["repeated"].append(row.id)
        else:
            found[row.id] = row
    predictions = []
    for comment in gold:
        if comment.id in found:
            row = found[comment.id]
            _check_row(row, comment, taxonomy, faults)
            segments = tuple(_segments(row, comment.comment, taxonomy, faults))
            predictions.append(Prediction(row.id, segments, tuple(_residue(row, comment.comment, faults))))
        else:
            faults["missing"].append(comment.id)
            predictions.append(Prediction(comment.id, ()))
        if taxonomy:
            strange = [f"{comment.id} segments[{i}]" for i, s in enumerate(comment.segments) if s.path not in taxonomy]
            faults["gold_not_in_taxonomy"] += strange
            faults["alternative_not_in_taxonomy"] += _strange_alternatives(comment, taxonomy)
    return Predictions(predictions, {kind: names for kind, names in faults.items() if names})


def _strange_alternatives(gold: LabelledComment, taxonomy: Taxonomy) -> list[str]:
    return [
        f"{gold.id} segments[{index}].{name}"
        for index, span in enumerate(gold.segments)
        for name, path in span.named_alternatives.items()
        if path not in taxonomy
    ]


def described(faults: Faults, shown: int = 3) -> list[str]:
    """A line for each kind of fault: how many, how they are scored, and the first of them."""
    return [
        f"{len(names)} {FAULTS[kind]} ({', '.join(names[:shown])}{', ...' * (len(names) > shown)})"
        for kind, names in faults.items()
    ]


def unmatched(file: Path, gold: Sequence[PredictionRow], predicted: Sequence[PredictionRow]) -> Faults:
    """What one side has and the other has not, by id. Raises DataInvalid where the gold (of `file`) has an id twice."""
    ids, found = (Counter(row.id for row in rows) for rows in (gold, predicted))
    if not ids or max(ids.values()) > 1:
        raise DataInvalid(f"{file}: " + (f"the id {ids.most_common(1)[0][0]!r} stands twice" if ids else "no comments"))
    faults = {
        "missing": [id_ for id_ in ids if id_ not in found],
        "extra": [id_ for id_ in found if id_ not in ids],
        "repeated": [id_ for id_, count in found.items() for _ in range(count - 1)],
    }
    return {kind: names for kind, names in faults.items() if names}


def counted(faults: Faults) -> dict[str, FaultCount]:
    """Of each kind of fault."""
    return {kind: FaultCount(len(names), names) for kind, names in faults.items()}


def read_rows(file: Path) -> Iterator[PredictionRow]:
    """Rows of our predictions or of the service's answers; those that say that a comment failed are no prediction.

    Raises DataInvalid with file, line and field of every row in error.
    """
    rows = without_faults(parsed(file, _row))
    return (row for row in rows if row is not None)


def _row(given: Row) -> PredictionRow | None:
    row = given.value
    if "problem" in row:
        return None
    if unknown := row.keys() - _FIELDS:
        raise ValueError(f"the field {min(unknown)!r} is unknown")
    if not isinstance(row.get("segments"), list):
        raise ValueError("the field 'segments' is missing or not a list")  # noqa: TRY004 (the row is wrong)
    for name in ("comment", "taxonomy", "checkpoint"):
        if not isinstance(row.get(name), str | None):
            raise ValueError(f"the field {name!r} is not text")  # noqa: TRY004
    _check_parts("segments", row["segments"])
    _check_parts("residue", row.get("residue"))
    optional = {name: row.get(name) for name in ("comment", "taxonomy", "checkpoint", "residue")}
    return PredictionRow(given.where, id_text(row["id"]), segments=row["segments"], **optional)


def _check_parts(name: str, parts: Any) -> None:
    if not isinstance(parts, list | None):
        raise ValueError(f"the field {name!r} is not a list")  # noqa: TRY004
    for index, part in enumerate(parts or []):
        if not isinstance(part, dict):
            raise ValueError(f"{name}[{index}] is not an object")  # noqa: TRY004


def _check_row(row: PredictionRow, gold: LabelledComment, taxonomy: Taxonomy | None, faults: Faults) -> None:
    if row.comment is not None and row.comment != gold.comment:
        faults["other_comment"].append(row.id)
    if taxonomy and row.taxonomy is not None and row.taxonomy != taxonomy.version:
        faults["other_taxonomy"].append(row.id)


def _segments(row: PredictionRow, comment: str, taxonomy: Taxonomy | None, faults: Faults) -> Iterator[Segment]:
    places = _Places(comment)

    def note(kind: str, index: int) -> None:
        faults[kind].append(f"{row.id} segments[{index}]")

    for index, given in enumerate(row.segments):
        if given.keys() <= {"content", "start", "end"}:
            continue  # without labels it says that there is no feedback here: residue
        path = path_of(given)
        emotion = given.get("emotion")
        span = places.of(given)
        if span is None:
            note("not_in_comment", index)
        elif not places.was_free:
            note("overlapping", index)
        if taxonomy is not None and path not in taxonomy:
            note("not_in_taxonomy", index)
        if emotion not in EMOTIONS:
            note("no_emotion", index)
        start, end = span or (0, 0)
        yield Segment(start, end, path, str(emotion), _confidence(f"{row.where}: segments[{index}]", given))


def _residue(row: PredictionRow, comment: str, faults: Faults) -> Iterator[ResidueSpan]:
    places = _Places(comment)
    for index, given in enumerate(row.residue or ()):
        span, confidence = places.of(given), given.get("confidence")
        if confidence is None:
            continue  # of a service that did not tell
        if not is_probability(confidence):
            raise DataInvalid(f"{row.where}: residue[{index}].confidence is not a probability")
        if span is None:
            faults["residue_not_in_comment"].append(f"{row.id} residue[{index}]")
        else:
            yield ResidueSpan(*span, confidence)


def path_of(segment: Mapping[str, Any]) -> LabelPath:
    """The labels from L1 down to the last that is given; one that is null or empty is not.

    A gap above the last, or a label that is no text, is an empty label, which no taxonomy has: so `{"L1": "A", "L3":
    "C"}` is not taken for the leaf A.
    """
    given = [segment.get(level) for level in LEVELS]
    while given and given[-1] in (None, ""):
        given.pop()
    return tuple(label if isinstance(label, str) else "" for label in given)


def _confidence(where: str, segment: Mapping[str, Any]) -> Mapping[str, float]:
    given = segment.get("confidence")
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(map(is_probability, given.values())):
        raise DataInvalid(f"{where}.confidence is not a probability for each level")
    return given


def is_probability(value: Any) -> bool:
    """Whether it is a number from 0 to 1."""
    return type(value) in (int, float) and 0 <= value <= 1


class _Places:
    """Where the segments of one comment stand, each in its turn."""

    def __init__(self, comment: str) -> None:
        self._comment = comment
        self._taken: list[tuple[int, int]] = []
        self._at = self._last = 0
        self.was_free = True

    def of(self, segment: Mapping[str, Any]) -> tuple[int, int] | None:
        """Its own start and end where they hold the content, else the first free place after the segment before it,
        else the first free one, else the first. None where the content is nowhere.
        """
        content = segment.get("content")
        if not isinstance(content, str) or not content:
            return None
        start, end = segment.get("start"), segment.get("end")
        if type(start) is int and type(end) is int and start >= 0 and self._comment[start:end] == content:
            return self._take(start, start + len(content))
        start = self._comment.find(content, self._at)
        if start >= self._last:
            return self._take(start, start + len(content))
        places = [*self._occurrences(content, self._at), *self._occurrences(content, 0)]
        if not places:
            return None
        return self._take(*next((place for place in places if self._is_free(*place)), min(places)))

    def _take(self, start: int, end: int) -> tuple[int, int]:
        self.was_free = start >= self._last or self._is_free(start, end)
        self._taken.append((start, end))
        self._at, self._last = end, max(self._last, end)
        return start, end

    def _is_free(self, start: int, end: int) -> bool:
        return all(end <= s or e <= start for s, e in self._taken)

    def _occurrences(self, content: str, at: int) -> Iterator[tuple[int, int]]:
        start = self._comment.find(content, at)
        while start >= 0:
            yield start, start + len(content)
            start = self._comment.find(content, start + 1)
