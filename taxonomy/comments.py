"""Labelled comments, gold and predictions alike: JSONL, one comment a line.

{"id": "...", "comment": "...", "segments": [{"content": "...", "L1": "...", ..., "emotion": "negative"}]}

Predictions may also name the `checkpoint` and `taxonomy` that made them, and give each segment a `confidence`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonomy.errors import DataInvalid
from taxonomy.files import numbered, write_jsonl
from taxonomy.labels import LEVELS, Emotion, LabelPath, emotion_named
from taxonomy.language.answer import Part


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of a comment, in Unicode code points."""

    start: int
    end: int
    path: LabelPath
    emotion: Emotion

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"empty or reversed span {self.start}..{self.end}")


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
    segments = [
        {"content": comment.comment[s.start : s.end]} | dict(zip(LEVELS, s.path, strict=False)) | {"emotion": s.emotion}
        for s in comment.segments
    ]
    return {"id": comment.id, "comment": comment.comment, "segments": segments}


def read_comments(file: Path) -> Iterator[LabelledComment]:
    """Read JSONL. Raises DataInvalid with file, line and field."""
    for number, line in numbered(file):
        try:
            yield from_json(json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise DataInvalid(f"{file}:{number}: {error}") from error


def from_json(row: dict[str, Any]) -> LabelledComment:
    """One row. Raises ValueError, TypeError or AttributeError, naming the field where it can."""
    needed = {"id", "comment", "segments"}
    if missing := needed - row.keys():
        raise ValueError(f"the field {min(missing)!r} is missing")
    if unknown := row.keys() - needed - {"checkpoint", "taxonomy"}:
        raise ValueError(f"the field {min(unknown)!r} is unknown")
    if not isinstance(row["id"], str):
        raise TypeError("the field 'id' is not text")
    comment, spans, at = row["comment"], [], 0
    for index, segment in enumerate(row["segments"]):
        where = f"segments[{index}]"
        start = comment.find(_field(segment, "content", where), at)
        if start < 0:
            raise ValueError(f"{where}.content is not in the comment after the segment before it")
        at = start + len(segment["content"])
        named = [level for level in LEVELS if level in segment]
        if named != list(LEVELS[: len(named)]):
            raise ValueError(f"{where} has {named[-1]}, and not every level above it")
        path = tuple(_field(segment, level, where) for level in named)
        try:
            emotion = emotion_named(segment.get("emotion"))
        except ValueError as error:
            raise ValueError(f"{where}.{error}") from error
        spans.append(Span(start, at, path, emotion))
    return LabelledComment(row["id"], comment, tuple(spans))


def _field(segment: dict[str, Any], name: str, where: str) -> str:
    value = segment.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}.{name} is not text")
    return value
