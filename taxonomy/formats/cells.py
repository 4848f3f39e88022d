"""A table's cells as a file holds them: what the readers of CSV and XLSX hand to the reader of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


def column_letters(column: int) -> str:
    """A column from 0, as spreadsheets name it."""
    above, letter = divmod(column, 26)
    return (column_letters(above - 1) if above else "") + chr(ord("A") + letter)


class NoText(NamedTuple):
    """A cell that holds no text: what it is ("not text but 3.5"), and what to do."""

    what: str
    remedy: str


Cell: TypeAlias = str | NoText


@dataclass(frozen=True, slots=True)
class Line:
    """A row: its cells by column from 0, those that hold something.

    filled: columns that a merged cell reaches into. width: cells in all, where the file says so.
    """

    number: int
    cells: Mapping[int, Cell]
    filled: frozenset[int] = frozenset()
    width: int = 0

    def text(self, column: int) -> str:
        """Empty where there is none."""
        cell = self.cells.get(column, "")
        return cell if isinstance(cell, str) else ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that hold something, in order. file, sheet (empty in CSV): for faults. read: as of `Loaded`."""

    file: str
    lines: list[Line]
    sheet: str = ""
    delimiter: str = ""
    read: list[str] = field(default_factory=list)

    def where(self, line: Line, column: int = 0) -> str:
        if self.sheet:
            return f"{self.file}:{self.sheet}!{column_letters(column)}{line.number}"
        return f"{self.file}:{line.number}"

    @property
    def source(self) -> str:
        return f"{self.file}:{self.sheet}" if self.sheet else self.file
