"""Comments to route, from files: a row holds what `POST /v1/route` takes, and is checked by the same model.

JSONL: an object a row. CSV, TSV, XLSX: columns `comment` (or `text`), `id`, `deadline_ms`, `alternatives`, and
`metadata.NAME` for each entry of the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from serve.http.faults import FieldFault, field_faults, in_a_line
from serve.http.schemas import RouteRequest
from taxonomy.errors import DataInvalid
from taxonomy.formats.records import Records, is_table, read_records
from taxonomy.jsonl import Row, read_rows

_COMMENT: Final = ("comment", "text")
_METADATA: Final = "metadata."
_NUMBERS: Final = ("deadline_ms", "alternatives")
_PLAIN: Final = (*_COMMENT, "id", *_NUMBERS)


class AskedRow(NamedTuple):
    """A row that can be asked; where the file gives no id it is the line's number."""

    where: str
    line: int
    request: RouteRequest


class RefusedRow(NamedTuple):
    """A row that cannot: `reason` names file, line and field. id: as far as it could be read."""

    line: int | None
    id: str | None
    reason: str
    faults: tuple[FieldFault, ...] = ()


class CommentFile(NamedTuple):
    """rows: in order. read: how a table was read, where it is no plain one, a line each."""

    rows: Iterator[AskedRow | RefusedRow]
    read: tuple[str, ...] = ()


def read_comment_file(file: Path, sheet: str | None = None) -> CommentFile:
    """sheet: of a workbook. A row in error is named, and the reading goes on.

    Raises DataInvalid for a file that cannot be read on or has other columns, CallWrong, OSError; of JSONL while the
    rows are taken.
    """
    if not is_table(file) and sheet is None:
        return CommentFile(_rows(read_rows(file)))
    records = read_records(file, _is_known, _COMMENT, sheet)
    _check_columns(records)
    return CommentFile(_rows(map(_nested, records.rows())), records.read)


def _is_known(name: str) -> bool:
    return name in _PLAIN or name.startswith(_METADATA)


def _check_columns(records: Records) -> None:
    where = records.table.where(records.header)
    if unknown := [name for name in records.names if not _is_known(name.casefold())]:
        columns = f"unknown column{'s' * (len(unknown) > 1)} {', '.join(map(repr, unknown))}"
        ours = f"use comment, id, {', '.join(_NUMBERS)}"
        remedy = f"{ours}, or {_METADATA}{unknown[0]} for what is to come back with the answer"
        raise DataInvalid(f"{where}: {columns}; {remedy}")
    if {*_COMMENT} <= {name.casefold() for name in records.names}:
        raise DataInvalid(f"{where}: both comment and text are columns; keep the one that is to be routed")


def _nested(row: Row | DataInvalid) -> Row | DataInvalid:
    """A table's row as JSON has it."""
    if isinstance(row, DataInvalid):
        return row
    value: dict[str, Any] = {}
    for name, text in row.value.items():
        plain = name.casefold()
        if plain.startswith(_METADATA):
            value.setdefault("metadata", {})[name[len(_METADATA) :]] = text
        elif plain in _COMMENT:
            value["comment"] = text
        else:
            is_whole = plain in _NUMBERS and text.strip().isdecimal() and len(text) < len(str(2**63))
            value[plain] = int(text) if is_whole else text
    return Row(value, row.where, row.line)


def with_defaults(row: AskedRow | RefusedRow, wanted: Mapping[str, int]) -> AskedRow | RefusedRow:
    """What a row does not say of itself is as wanted."""
    if isinstance(row, RefusedRow) or not (lacking := wanted.keys() - row.request.model_fields_set):
        return row
    given = {name: wanted[name] for name in lacking}
    return row._replace(request=row.request.model_copy(update=given))


def _rows(rows: Iterable[Row | DataInvalid]) -> Iterator[AskedRow | RefusedRow]:
    for row in rows:
        yield RefusedRow(row.line, None, str(row)) if isinstance(row, DataInvalid) else _row(row)


def _row(row: Row) -> AskedRow | RefusedRow:
    value: Mapping[str, Any] = row.value
    if type(value.get("id")) is int:
        value = {**value, "id": str(value["id"])}
    try:
        request = RouteRequest.model_validate(value)
    except ValidationError as error:
        faults = field_faults(error.errors())
        given = value.get("id")
        id_ = given if isinstance(given, str) else None
        return RefusedRow(row.line, id_, f"{row.where}: {in_a_line(faults)}", tuple(faults))
    if request.id is None:
        request = request.model_copy(update={"id": str(row.line)})
    return AskedRow(row.where, row.line, request)
