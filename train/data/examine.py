"""Labelled comments line by line: each is usable, on candidate cuts, or an error that names file, line and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonomy.comments import LabelledComment, Span, from_json
from taxonomy.errors import DataInvalid
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
    """Each line of a JSONL file, in order; a row in error comes as its error. Raises OSError."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{file}:{number}"
            try:
                yield _examined(json.loads(line), where, taxonomy)
            except (ValueError, TypeError, AttributeError) as error:
                yield DataInvalid(f"{where}: {error}")


def _examined(row: Any, where: str, taxonomy: Taxonomy) -> Examined:
    if not isinstance(row, dict):
        raise ValueError("the row is not an object")  # noqa: TRY004 (the row is wrong, not the caller)
    language = row.pop("language", None)
    for field, value in (("id", row.get("id")), ("comment", row.get("comment")), ("language", language or "-")):
        if field in row.keys() | {"language"} and not (isinstance(value, str) and value.strip()):
            raise ValueError(f"the field {field!r} is not text")
    if not isinstance(row.get("segments", []), list):
        raise ValueError("the field 'segments' is not a list")  # noqa: TRY004 (as above)
    comment = from_json(row)
    for index, span in enumerate(comment.segments):
        if span.path not in taxonomy:
            raise ValueError(f"segments[{index}]: {' > '.join(span.path)} is not a leaf of the taxonomy")
    return Examined(where, *on_nearest_cuts(comment), language)
