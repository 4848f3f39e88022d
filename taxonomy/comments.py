"""Labelled comments, gold and predictions alike: JSONL, one comment a line.

{"id": "...", "comment": "...", "segments": [{"content": "...", "L1": "...", ..., "emotion": "negative"}]}

Predictions may also name the `checkpoint` and `taxonomy` that made them, give each segment a `confidence`, and list the
`residue` with its own; what lies between the segments is residue all the same. An id may be a whole number. The levels
below a leaf are absent, empty or null. A segment may hold other right paths, `"alt": [[L1, L2, L3, L4], ...]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from taxonomy.files import write_jsonl
from taxonomy.jsonl import id_text, parsed, without_faults
from taxonomy.labels import LEVELS, Emotion, LabelPath, emotion_named
from taxonomy.language.answer import Part

_NEEDED: Final = frozenset({"id", "comment", "segments"})


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of a comment, in Unicode code points. alternatives: paths that would be right too."""

    start: int
    end: int
    path: LabelPath
    emotion: Emotion
    alternatives: tuple[LabelPath, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"empty or reversed span {self.start}..{self.end}")

    @property
    def named_alternatives(self) -> dict[str, LabelPath]:
        """Each by its field of the segment."""
        return {f"alt[{index}]": path for index, path in enumerate(self.alternatives)}


@dataclass(frozen=True, slots=True)
class LabelledComment:
    """A comment with its segments, in order and disjoint; what lies between them is residue."""

    id: str
    comment: str
    segments: tuple[Span, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The segments and the residue between them: laid end to end they are the comment."""
        parts, at = [], 0
        for span in self.segments:
            if at < span.start:
                parts.append(Part(self.comment[at : span.start]))
            parts.append(Part(self.comment[span.start : span.end], span.path, span.emotion))
            at = span.end
        if at < len(self.comment):
            parts.append(Part(self.comment[at:]))
        return tuple(parts)


def labelled(id: str, parts: Iterable[Part]) -> LabelledComment:  # noqa: A002 (the field's name)
    """The comment that the parts, laid end to end, are."""
    spans, comment = [], ""
    for part in parts:
        start = len(comment)
        comment += part.content
        if not part.is_residue:
            spans.append(Span(start, len(comment), part.path, part.emotion))
    return LabelledComment(id, comment, tuple(spans))


def write_comments(comments: Iterable[LabelledComment], file: Path) -> int:
    """Write JSONL; gives the number of comments."""
    return write_jsonl(map(as_json, comments), file)


def as_json(comment: LabelledComment) -> dict[str, Any]:
    """One row."""
    segments, at = [], 0
    for span in comment.segments:
        segments.append(_segment(span, comment.comment, at))
        at = span.end
    return {"id": comment.id, "comment": comment.comment, "segments": segments}


def _segment(span: Span, comment: str, at: int) -> dict[str, Any]:
    """Its place is said where the content stands earlier too, after the segment before it."""
    content = comment[span.start : span.end]
    place = {} if comment.find(content, at) == span.start else {"start": span.start, "end": span.end}
    labels = dict(zip(LEVELS, span.path, strict=False))
    others = {"alt": [list(path) for path in span.alternatives]} if span.alternatives else {}
    return {"content": content, **place, **labels, "emotion": span.emotion, **others}


def read_comments(file: Path) -> Iterator[LabelledComment]:
    """Read JSONL. Raises DataInvalid with file, line and field of every row in error."""
    return without_faults(parsed(file, lambda row: from_json(row.value)))


def from_json(row: Mapping[str, Any]) -> LabelledComment:
    """One row. Raises ValueError, naming the field."""
    if missing := _NEEDED - row.keys():
        raise ValueError(f"the field {min(missing)!r} is missing")
    if unknown := row.keys() - _NEEDED - {"checkpoint", "taxonomy", "residue"}:
        raise ValueError(f"the field {min(unknown)!r} is unknown")
    id_, comment, segments = id_text(row["id"]), row["comment"], row["segments"]
    if not isinstance(comment, str):
        raise ValueError("the field 'comment' is not text")  # noqa: TRY004 (the row is wrong, not the caller)
    if not isinstance(segments, list):
        raise ValueError("the field 'segments' is not a list")  # noqa: TRY004
    spans, at = [], 0
    for index, segment in enumerate(segments):
        span = _span(segment, comment, at, f"segments[{index}]")
        at = span.end
        spans.append(span)
    return LabelledComment(id_, comment, tuple(spans))


def _span(segment: Any, comment: str, at: int, where: str) -> Span:
    if not isinstance(segment, dict):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004
    content = _field(segment, "content", where)
    start = comment.find(content, at) if segment.get("start") is None else _start(segment, comment, at, where)
    if start < 0:
        raise ValueError(f"{where}.content is not in the comment after the segment before it")
    try:
        emotion = emotion_named(segment.get("emotion"))
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error
    return Span(start, start + len(content), _path(segment, where), emotion, _alternatives(segment, where))


def _start(segment: Mapping[str, Any], comment: str, at: int, where: str) -> int:
    """Where it says that it stands, in code points."""
    start = segment["start"]
    if type(start) is not int or start < at or not comment.startswith(segment["content"], start):
        raise ValueError(f"{where}.start: its content does not stand there after the segment before it")
    return start


def _path(segment: Mapping[str, Any], where: str) -> LabelPath:
    """The labels down to the leaf; what lies below it is absent, empty or null."""
    named = [level for level in LEVELS if segment.get(level) not in (None, "")]
    if not named:
        raise ValueError(f"{where}.L1 is missing")
    if named != list(LEVELS[: len(named)]):
        raise ValueError(f"{where} has {named[-1]}, and not every level above it")
    return tuple(_field(segment, level, where) for level in named)


def _alternatives(segment: Mapping[str, Any], where: str) -> tuple[LabelPath, ...]:
    given = segment.get("alt")
    if not isinstance(given, list | None):
        raise ValueError(f"{where}.alt is not a list of paths")  # noqa: TRY004
    return tuple(_alternative(path, f"{where}.alt[{index}]") for index, path in enumerate(given or ()))


def _alternative(labels: Any, where: str) -> LabelPath:
    if not isinstance(labels, list) or len(labels) > len(LEVELS):
        raise ValueError(f"{where} is not a list of up to {len(LEVELS)} labels")
    return _path(dict(zip(LEVELS, labels, strict=False)), where)


def _field(segment: Mapping[str, Any], name: str, where: str) -> str:
    value = segment.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}.{name} is not text")
    return value
