"""Tables of labelled comments: a comment a row, labelled as a whole; CSV, TSV and XLSX.

Columns: `comment` or `text`; `label` (a whole path joined by ` > `, or a leaf's unique name) or L1 to L4; `emotion` and
`id` where there are such.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.comments import LabelledComment, Span
from taxonomy.errors import DataInvalid
from taxonomy.formats.records import Records, read_records
from taxonomy.jsonl import Row, each_parsed
from taxonomy.labels import LEVELS
from train.data.label_sources import TEXT_NAMES, LabelReading

_LABEL: Final = ("label", "labels", "path", "category", "class", "leaf")
_LEVELS: Final = tuple(level.casefold() for level in LEVELS)


class _Columns(NamedTuple):
    """Names as the header writes them; label: one, or those of the levels."""

    text: str
    label: tuple[str, ...]
    emotion: str | None
    id: str | None


def read_table(file: Path, reading: LabelReading, sheet: str | None) -> Iterator[LabelledComment | DataInvalid]:
    """A row in error comes as its error. Raises DataInvalid (other columns, an unreadable file), CallWrong, OSError."""
    texts = (reading.text.casefold(),) if reading.text else TEXT_NAMES
    known = {*texts, *_LABEL, *_LEVELS, "emotion", "id", (reading.label or "label").casefold()}
    records = read_records(file, known.__contains__, texts, sheet)
    for line in records.read:
        reading.notes[line] = 1
    try:
        columns = _columns(records, reading)
    except ValueError as error:
        raise DataInvalid(f"{records.table.where(records.header)}: {error}") from error
    unread = [name for name in records.names if name not in (columns.text, *columns.label, columns.emotion, columns.id)]
    if unread:
        reading.notes[f"columns not read: {', '.join(unread)}"] = 1
    return each_parsed(records.rows(), lambda row: _comment(row, columns, reading))


def _columns(records: Records, reading: LabelReading) -> _Columns:
    """Raises ValueError."""
    by_name = {name.casefold(): name for name in records.names}
    text = reading.text.casefold() if reading.text else reading.text_field(records.names).casefold()
    levels = tuple(by_name[level] for level in _LEVELS if level in by_name)
    wanted = (reading.label.casefold(),) if reading.label else _LABEL
    labels = tuple(by_name[name] for name in wanted if name in by_name and name != text)
    if reading.label and not labels:
        raise ValueError(f"there is no column {reading.label!r}")
    if len(labels) + bool(levels and not reading.label) != 1:
        found = f"{', '.join((*labels, *levels))}: which holds the label?" if labels else "no column holds the label:"
        raise ValueError(f"{found} name one with --label, or have L1 to L4")
    if not labels and [level.casefold() for level in levels] != list(_LEVELS[: len(levels)]):
        raise ValueError(f"the columns of the levels are {', '.join(levels)}; begin with L1, L2, ...")
    return _Columns(by_name[text], labels or levels, by_name.get("emotion"), by_name.get("id"))


def _comment(row: Row, columns: _Columns, reading: LabelReading) -> LabelledComment:
    text = row.value.get(columns.text, "")
    if not text.strip():
        raise ValueError(f"{columns.text} is empty")
    given = [row.value.get(name, "") for name in columns.label]
    if not any(label.strip() for label in given):
        raise ValueError(f"{columns.label[0]} is empty; label the comment, or leave out its row")
    path = reading.names.named(given[0]) if columns.label[0].casefold() != _LEVELS[0] else reading.names.path(given)
    emotion = reading.emotion_or_default(row.value.get(columns.emotion or ""))
    id_ = row.value.get(columns.id or "") or f"line-{row.line:06d}"
    return LabelledComment(id_, text, (Span(0, len(text), path, emotion),))
