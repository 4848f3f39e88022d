"""Tables as rows of texts by the names of their columns: CSV, TSV and XLSX files of comments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from taxonomy.errors import CallWrong, DataInvalid, TaxonomyInvalid
from taxonomy.formats.cells import Line, NoText, Table
from taxonomy.formats.delimited import delimited_table
from taxonomy.formats.text import MAX_BYTES
from taxonomy.formats.workbook import workbook_table
from taxonomy.jsonl import Row, one_error

_WORKBOOK: Final = ".xlsx"
_ENDINGS: Final = (".csv", ".tsv", _WORKBOOK)
_OTHERS: Final = (".xls", ".xlsb", ".xlsm", ".ods", ".numbers")
_ABOVE: Final = 20
IsKnown: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Records:
    """names: of the columns, as they are written. read: what was read otherwise than a plain file, a line each."""

    names: tuple[str, ...]
    table: Table
    header: Line

    @property
    def read(self) -> tuple[str, ...]:
        return tuple(self.table.read)

    def rows(self) -> Iterator[Row | DataInvalid]:
        """The texts of each row by their columns' names, without empty cells; a row in error comes as its error."""
        for line in self.table.lines:
            if line.number > self.header.number:
                yield self._row(line)

    def _row(self, line: Line) -> Row | DataInvalid:
        values: dict[str, str] = {}
        for column, cell in line.cells.items():
            name = self.header.text(column).strip()
            if not name:
                what = "a cell without a column's name; name the column, or put the text in quotes"
            elif isinstance(cell, NoText):
                what = f"{name} is {cell.what}; {cell.remedy}"
            elif any("\ud800" <= character <= "\udfff" for character in cell):
                what = f"{name} holds a lone surrogate, which is no character"
            else:
                values[name] = cell
                continue
            return DataInvalid(f"{self.table.where(line, column)}: {what}", line.number)
        return Row(values, f"{self.table.source}{'!' if self.table.sheet else ':'}{line.number}", line.number)


def is_table(file: Path) -> bool:
    """Whether a file is read as a table, by its ending. Raises CallWrong for other spreadsheets'."""
    if file.suffix.lower() in _OTHERS:
        raise CallWrong(f"{file}: save the spreadsheet as .xlsx or .csv")
    return file.suffix.lower() in _ENDINGS


def read_records(file: Path, is_known: IsKnown, needed: Sequence[str], sheet: str | None = None) -> Records:
    """A table whose header has one of the `needed` columns. is_known: whether a name is of a column that is read, by
    which the delimiter and the sheet are chosen; in lower case, as `needed`.

    Raises DataInvalid where there is no such header or the file cannot be read, CallWrong (no such file or sheet).
    """
    if not file.is_file():
        raise CallWrong(f"there is no file {file}")
    if sheet is not None and file.suffix.lower() != _WORKBOOK:
        raise CallWrong(f"{file} has no sheets; leave out --sheet")
    if file.stat().st_size > MAX_BYTES:
        raise DataInvalid(f"{file}: over {MAX_BYTES:,} bytes, which is too much for a table; give the rows as JSONL")

    def columns(lines: Sequence[Line]) -> int:
        header = _header(lines, needed)
        return 0 if header is None else sum(is_known(name.casefold()) for name in _names(header))

    try:
        if file.suffix.lower() == _WORKBOOK:
            table = workbook_table(file, sheet, columns, "a table of comments")
        else:
            table = delimited_table(file, columns)
    except TaxonomyInvalid as error:
        faults = [DataInvalid(str(fault)) for fault in error.faults]
        raise one_error(faults, len(faults)) from error
    return _records(table, needed)


def _records(table: Table, needed: Sequence[str]) -> Records:
    header = _header(table.lines, needed)
    if header is None:
        first = f"; it begins with {', '.join(map(repr, _names(table.lines[0])))}" if table.lines else ": it is empty"
        raise DataInvalid(f"{table.source}: no row names a column {' or '.join(needed)}{first}")
    above = [line for line in table.lines if line.number < header.number]
    if odd := next((line for line in above if len(line.cells) > 1), None):
        raise DataInvalid(f"{table.where(odd)}: a row above the header that is no title; put the header first")
    if above:
        table.read.append(f"{len(above)} title row{'s' * (len(above) > 1)} above the header passed over")
    names = _names(header)
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise DataInvalid(f"{table.where(header)}: the column {twice[0]!r} stands twice; keep one")
    return Records(names, table, header)


def _header(lines: Sequence[Line], needed: Sequence[str]) -> Line | None:
    return next((line for line in lines[:_ABOVE] if {name.casefold() for name in _names(line)} & {*needed}), None)


def _names(line: Line) -> tuple[str, ...]:
    return tuple(line.text(column).strip() for column in sorted(line.cells))
