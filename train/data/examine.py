"""Labelled comments line by line: each is usable, on candidate cuts, or an error that names file, line and field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonomy.comments import LabelledComment, Span, from_json
from taxonomy.errors import DataInvalid
from taxonomy.jsonl import parsed
from taxonomy.tree import Taxonomy
from train.data.cuts import on_nearest_cuts


@dataclass(frozen=True, slots=True)
class Examined:
    """A usable row. moved, lost: what became of segments off the cuts. language: what the row itself says, or none."""

    where: str
    comment: LabelledComment
    moved: int
    lost: tuple[Span, ...]
    language: str | None = None


def examined(file: Path, taxonomy: Taxonomy) -> Iterator[Examined | DataInvalid]:
    """Each row of a JSONL file, in order; a row in error comes as its error. Raises DataInvalid, OSError."""
    return parsed(file, lambda row: _examined(row.value, row.where, taxonomy))


def _examined(row: dict[str, Any], where: str, taxonomy: Taxonomy) -> Examined:
    language = row.pop("language", None)
    if language is not None and not (isinstance(language, str) and language.strip()):
        raise ValueError("the field 'language' is not text")
    comment = from_json(row)
    if not comment.comment.strip():
        raise ValueError("the field 'comment' is empty")
    for index, span in enumerate(comment.segments):
        if fault := taxonomy.fault_of(span.path):
            raise ValueError(f"segments[{index}]: {fault}")
        for name, path in span.named_alternatives.items():
            if fault := taxonomy.fault_of(path):
                raise ValueError(f"segments[{index}].{name}: {fault}")
    return Examined(where, *on_nearest_cuts(comment), language)
