"""Predictions as they come, good or bad: what is wrong with them is named and counted, and all of it is scored."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.files import numbered
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
    "gold_not_in_taxonomy": "gold segments whose path is no leaf of the taxonomy: of no team, so not scored there",
}
"""What can be wrong, and how it is scored."""

Faults = dict[str, list[str]]
"""Of each kind of fault, what has it: a comment's id, or an id and a segment's index."""

JsonObject = dict[str, Any]
"""An object of a file's line, of which nothing but its being one is known."""

_FIELDS: Final = {"id", "comment", "segments", "checkpoint", "taxonomy", "needs_review", "residue", "metadata"}


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


class Prediction(NamedTuple):
    """A comment's predicted segments in the order given."""

    id: str
    segments: tuple[Segment, ...]


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
            predictions.append(Prediction(row.id, tuple(_segments(row, comment.comment, taxonomy, faults))))
        else:
            faults["missing"].append(comment.id)
            predictions.append(Prediction(comment.id, ()))
        if taxonomy:
            strange = [f"{comment.id} segments[{i}]" for i, s in enumerate(comment.segments) if s.path not in taxonomy]
            faults["gold_not_in_taxonomy"] += strange
    return Predictions(predictions, {kind: names for kind, names in faults.items() if names})


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
    """Lines of our predictions or of the service's answers. Raises DataInvalid with file, line and field."""
    for number, line in numbered(file):
        if line.strip():
            yield _row(f"{file}:{number}", line)


def _row(where: str, line: str) -> PredictionRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataInvalid(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataInvalid(f"{where}: not an object with id and segments")
    if unknown := row.keys() - _FIELDS:
        raise DataInvalid(f"{where}: the field {min(unknown)!r} is unknown")
    for name, kind, description in [("id", str, "text"), ("segments", list, "a list")]:
        if not isinstance(row.get(name), kind):
            raise DataInvalid(f"{where}: the field {name!r} is missing or not {description}")
    for name in ("comment", "taxonomy", "checkpoint"):
        if not isinstance(row.get(name), str | None):
            raise DataInvalid(f"{where}: the field {name!r} is not text")
    _check_parts(where, "segments", row["segments"])
    _check_parts(where, "residue", row.get("residue"))
    optional = {name: row.get(name) for name in ("comment", "taxonomy", "checkpoint", "residue")}
    return PredictionRow(where, row["id"], segments=row["segments"], **optional)


def _check_parts(where: str, name: str, parts: Any) -> None:
    if not isinstance(parts, list | None):
        raise DataInvalid(f"{where}: the field {name!r} is not a list")
    for index, part in enumerate(parts or []):
        if not isinstance(part, dict):
            raise DataInvalid(f"{where}: {name}[{index}] is not an object")


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


def path_of(segment: Mapping[str, Any]) -> LabelPath:
    """The labels from L1 down, up to the first that is missing or no text."""
    path: list[str] = []
    for level in LEVELS:
        label = segment.get(level)
        if not isinstance(label, str) or not label:
            break
        path.append(label)
    return tuple(path)


def _confidence(where: str, segment: Mapping[str, Any]) -> Mapping[str, float]:
    given = segment.get("confidence")
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(type(p) in (int, float) and 0 <= p <= 1 for p in given.values()):
        raise DataInvalid(f"{where}.confidence is not a probability for each level")
    return given


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
