"""A worksheet's cells: as a person sees them, or named where a file does not hold what a person would see."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import ClassVar, Final, NamedTuple, NoReturn

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.cells import Cell, Line, NoText, Table, column_letters
from taxonomy.formats.package import IN_TEXT, TEXT_ELEMENTS, Package, unescaped
from taxonomy.formats.text import MAX_NODES
from taxonomy.names import is_blank

_REFERENCE: Final = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_TEXT_CELL: Final = "format the cell as text"
_EMPTY: Final = 4
_SHOWN_WHOLE: Final = 10**11
"""From here on a cell shows an integer as a power of ten."""


class Place(NamedTuple):
    """column from 0, row from 1."""

    row: int
    column: int


class Merge(NamedTuple):
    first: Place
    last: Place


@dataclass(frozen=True, slots=True)
class Book:
    """What the sheets of a workbook share.

    texts: those that cells refer to by number. plain: of each style, whether an integer is shown as it is stored.
    """

    package: Package
    file: str
    texts: Sequence[str]
    plain: Sequence[bool]


def read_sheet(book: Book, name: str, part: str) -> Table:
    """The sheet's rows, merged cells filled downward. Neither its `dimension` nor the rows' `spans` are looked at.

    Raises TaxonomyInvalid with the cell where places contradict each other or there is too much of it.
    """
    handler = _Cells(book, name)
    book.package.parse(part, handler)
    table = Table(book.file, handler.lines(), name)
    table.read.extend(handler.read())
    return table


@dataclass
class _Cells:
    within: ClassVar[Mapping[str, frozenset[str]]] = {
        "sheetData": frozenset({"row"}),
        "row": frozenset({"c", "extLst"}),
        "c": frozenset({"v", "f", "is", "extLst"}),
        "v": frozenset(),
        "f": frozenset(),
        "is": IN_TEXT,
        "mergeCells": frozenset({"mergeCell"}),
        **TEXT_ELEMENTS,
    }
    book: Book
    name: str
    rows: dict[int, dict[int, Cell]] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    filled: dict[int, set[int]] = field(default_factory=dict)
    hidden_rows: int = 0
    hidden_columns: list[tuple[str, str]] = field(default_factory=list)
    _row: int = 0
    _row_hidden: bool = False
    _rows: int = 0
    _reference: str = ""
    _after: int = 0
    _attributes: Mapping[str, str] = field(default_factory=dict)
    _value: list[str] | None = None
    _formula: list[str] | None = None
    _into: list[str] | None = None
    _aside: int = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        match tag:
            case "c":
                self._begin_cell(attributes)
            case "f":
                self._into = self._formula = []
            case "v" | "t" if not self._aside:
                self._value = [] if self._value is None else self._value
                self._into = self._value
            case "rPh":
                self._aside += 1
            case "row":
                self._begin_row(attributes)
            case "mergeCell":
                self._merge(attributes.get("ref", ""))
            case "col" if attributes.get("hidden") in {"1", "true"}:
                self.hidden_columns.append((attributes.get("min", ""), attributes.get("max", "")))

    def end(self, tag: str) -> None:
        self._into = None
        if tag == "c":
            self._end_cell()
        elif tag == "rPh":
            self._aside -= 1
        elif tag == "row" and self._row_hidden and self._row in self.rows:
            self.hidden_rows += 1

    def data(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        given = attributes.get("r", str(self._row + 1))
        if not (given.isascii() and given.isdigit() and len(given) <= 7 and int(given)):  # noqa: PLR2004 (digits)
            self._refuse("", f"a row has the number {given!r}")
        self._row, self._reference, self._after = int(given), "", 0
        self._row_hidden = attributes.get("hidden") in {"1", "true"}
        self._rows += 1
        if self._rows > _EMPTY * MAX_NODES:
            what = f"over {_EMPTY * MAX_NODES:,} rows, formatted and empty ones among them"
            self._refuse(f"A{self._row}", what, "delete those that are empty")

    def _begin_cell(self, attributes: Mapping[str, str]) -> None:
        self._attributes, self._value, self._formula = attributes, None, None
        if "r" in attributes:
            self._reference, self._after = attributes["r"], 0
        else:
            self._after += 1

    def _end_cell(self) -> None:
        # Millions of cells may be formatted and empty: of those nothing else is looked at.
        if self._value is None and self._formula is None:
            return
        cell = self._content(self._attributes.get("t", "n"))
        if isinstance(cell, str) and is_blank(cell):
            return
        row, column = self.rows.setdefault(self._row, {}), self._column()
        if column in row:
            self._refuse(self._shown(), "the cell stands twice in the file")
        row[column] = cell
        if len(self.rows) > MAX_NODES + 50:
            self._refuse(self._shown(), f"over {MAX_NODES:,} rows", "check that it is the right file")

    def _column(self) -> int:
        """Of the cell: as it says, or so many after the last that says it."""
        if not self._reference:
            return self._after - 1
        place = _place(self._reference)
        if place is None or place.row != self._row:
            self._refuse(self._reference, f"the cell {self._reference!r} stands in row {self._row}")
        return place.column + self._after

    def _content(self, kind: str) -> Cell:
        value = None if self._value is None else "".join(self._value)
        if self._formula is not None and (value is None or (value == "" and kind != "str")):
            what = f"the formula {'=' + ''.join(self._formula)!r} without a stored value"
            return NoText(what, "open and save the workbook in a spreadsheet, or write the value itself")
        if value is None or value == "":
            return ""
        if kind in {"str", "inlineStr"}:
            return unescaped(value)
        if kind in {"s", "n"}:
            return self._shared(value) if kind == "s" else self._number(value)
        shown = {"b": "FALSE" if value == "0" else "TRUE", "d": f"the date {value}"}.get(kind, repr(value))
        if kind == "e":
            return NoText(f"the error {value}", "mend or empty the cell")
        return NoText(f"not text but {shown}", _TEXT_CELL)

    def _shared(self, value: str) -> Cell:
        index = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else -1  # noqa: PLR2004 (digits)
        if 0 <= index < len(self.book.texts):
            return self.book.texts[index]
        return NoText(f"text number {value!r}, which the workbook does not hold", "save it anew in a spreadsheet")

    def _number(self, value: str) -> Cell:
        """An integer that is shown as such is its digits; what else a number looks like is the spreadsheet's to say."""
        try:
            number = Decimal(value)
        except InvalidOperation:
            return NoText(f"not text but {value!r}", _TEXT_CELL)
        is_plain = not self.book.plain or self._is_plain()
        if is_plain and number.is_finite() and abs(number) < _SHOWN_WHOLE and number == int(number):
            return str(int(number))
        return NoText(f"not text but {value}" + ", shown as another number or a date" * (not is_plain), _TEXT_CELL)

    def _is_plain(self) -> bool:
        style = self._attributes.get("s", "0")
        number = int(style) if style.isascii() and style.isdigit() and len(style) < 9 else len(self.book.plain)  # noqa: PLR2004 (digits)
        return number < len(self.book.plain) and self.book.plain[number]

    def _merge(self, reference: str) -> None:
        first, last = (_place(end) for end in (*reference.split(":", 1), "")[:2])
        if first is None or last is None:
            self._refuse("", f"cells are merged as {reference!r}, which is no range")
        self.merges.append(Merge(first, last))
        if len(self.merges) > MAX_NODES:
            self._refuse("", f"over {MAX_NODES:,} merged cells", "check that it is the right file")

    def lines(self) -> list[Line]:
        """In the order of their numbers."""
        numbers = sorted(self.rows)
        own = {number: dict(self.rows[number]) for number in numbers}
        budget = 20 * MAX_NODES
        for first, last in self.merges:
            content = self.rows.get(first.row, {}).get(first.column)
            if not isinstance(content, str):
                continue
            for number in numbers[bisect_right(numbers, first.row) : bisect_right(numbers, last.row)]:
                budget -= 1
                if budget < 0:
                    self._refuse("", "merged cells lie over one another", "split them")
                if first.column not in own[number]:
                    own[number][first.column] = content
                    self.filled.setdefault(number, set()).add(first.column)
        return [
            Line(number, dict(sorted(own[number].items())), frozenset(self.filled.get(number, ())))
            for number in numbers
        ]

    def read(self) -> list[str]:
        said = []
        if self.filled:
            said.append(f"merged cells filled in {len(self.filled)} row{'s' * (len(self.filled) != 1)}")
        if self.hidden_rows:
            said.append(f"{self.hidden_rows} hidden row{'s' * (self.hidden_rows != 1)} read like the others")
        used = {column + 1 for row in self.rows.values() for column in row}
        ranges = [(int(first), int(last)) for first, last in self.hidden_columns if first.isdigit() and last.isdigit()]
        if any(first <= column <= last for first, last in ranges for column in used):
            said.append("hidden columns read like the others")
        return said

    def _shown(self) -> str:
        return f"{column_letters(self._column())}{self._row}"

    def _refuse(self, cell: str, what: str, remedy: str = "save the workbook anew in a spreadsheet") -> NoReturn:
        where = f"{self.book.file}:{self.name}" + f"!{cell}" * bool(cell)
        raise TaxonomyInvalid([Fault(where, what, remedy)])


def _place(reference: str) -> Place | None:
    found = _REFERENCE.fullmatch(reference)
    if not found or not int(found[2]):
        return None
    column = 0
    for letter in found[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return Place(int(found[2]), column - 1)
