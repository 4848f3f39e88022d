"""Tables as taxonomies: one row a leaf, columns L1..L4, description, synonyms, team, workflow.

Synonyms are divided by "|". A `review_below` other than the default stands in a row of its own, `#review_below,0.4`,
above the header, and so does a `review_by` (`#review_by,leaf`); so may a title. A path may end early: its last levels
are empty. An empty level with a label to its right is that of the row above ("parents given once"), where all levels to
its left are those of the row above too. A row of a path that others go on from describes an inner node, whose team and
workflow hold for those below it that name none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.cells import Line, NoText, Table
from taxonomy.formats.loaded import Loaded
from taxonomy.formats.text import MAX_NODES
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.names import without_unseen
from taxonomy.tree import DEFAULT_REVIEW_BELOW, REVIEW_BY
from taxonomy.validate import Row, taxonomy_from_rows

TEXTS: Final = ("description", "synonyms", "team", "workflow")
COLUMNS: Final = (*LEVELS, *TEXTS)
DELIMITERS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
BELOW: Final = "#review_below"
BY: Final = "#review_by"
_BETWEEN: Final = re.compile(r"[\s_-]+")
_ABOVE: Final = 50
"""Rows in which the header is looked for."""
_DEEPER: Final = re.compile(r"L\d+")
_NAMES: Final = {name.casefold(): name for name in COLUMNS} | {f"level{level[1:]}": level for level in LEVELS}


def column_of(cell: object) -> str | None:
    """The column that a header's cell names, in any case, with any spaces; None where it is none of ours."""
    if not isinstance(cell, str):
        return None
    plain = _BETWEEN.sub("", without_unseen(unicodedata.normalize("NFKC", cell))).casefold()
    return _NAMES.get(plain)


def named_delimiter(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, repr(delimiter))


def header_at(lines: Sequence[Line]) -> int | None:
    """Which of the first rows names a level; None where none does."""
    for at, line in enumerate(lines[:_ABOVE]):
        if any(column_of(cell) in LEVELS for cell in line.cells.values()):
            return at
    return None


Columns: TypeAlias = Callable[[Sequence[Line]], int]
"""How many columns that are known the header among rows has; 0 where there is no header."""


def known_columns(lines: Sequence[Line]) -> int:
    """Those of a taxonomy."""
    at = header_at(lines)
    return 0 if at is None else sum(column_of(cell) in COLUMNS for cell in lines[at].cells.values())


def taxonomy_of_table(table: Table) -> Loaded:
    """Raises TaxonomyInvalid with every fault and its line or cell."""
    reader = _Reader(table)
    rows = reader.rows()
    taxonomy = taxonomy_from_rows(rows, reader.faults, table.source, reader.review_below, reader.review_by)
    return Loaded(taxonomy, (*table.read, *reader.read))


@dataclass
class _Reader:
    table: Table
    faults: list[Fault] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    review_below: float = DEFAULT_REVIEW_BELOW
    review_by: str = REVIEW_BY[0]
    _columns: dict[str, int] = field(default_factory=dict)
    _named: frozenset[int] = frozenset()
    _above: LabelPath | None = ()
    """The path of the row above; None where it has a fault."""
    _carried: int = 0

    def rows(self) -> list[Row]:
        lines = self.table.lines
        if not lines:
            raise TaxonomyInvalid(
                [Fault(self.table.source, "the table is empty", f"begin it with {','.join(COLUMNS)}")]
            )
        at = header_at(lines)
        header = lines[at or 0]
        if at is None and self._reads_review(header) and len(lines) > 1:
            header = lines[1]
        self._read_header(header)
        self._pass_over(lines[: at or 0], header)
        below = lines[lines.index(header) + 1 :]
        if len(below) > MAX_NODES:
            self._fault(below[MAX_NODES], 0, f"over {MAX_NODES:,} rows", "check that it is the right file")
            return []
        rows = [row for line in below if (row := self._row(line))] if self._columns else []
        if self._carried:
            self.read.append(f"parents carried down in {self._carried} row{'s' * (self._carried != 1)}")
        return self._handed_down(rows)

    def _read_header(self, line: Line) -> None:
        """Sets the columns; none where it cannot be said which columns are the levels."""
        found: dict[str, int] = {}
        for column, cell in line.cells.items():
            name = column_of(cell)
            if name is None:
                what = f"unknown column {cell!r}" if isinstance(cell, str) else f"the column's name is {cell.what}"
                self._fault(line, column, what, f"use {','.join(COLUMNS)}")
            elif name in found:
                self._fault(line, column, f"the column {name!r} stands twice", "keep one")
            else:
                found[name] = column
        self._named = frozenset(line.cells)
        levels = [level for level in LEVELS if level in found]
        if not levels:
            self.faults = [self._no_levels(line)]
        elif levels != list(LEVELS[: len(levels)]):
            self._fault(line, 0, "the columns of the levels are incomplete", "begin with L1, L2, ...")
        elif not any(
            _DEEPER.fullmatch(line.text(column).strip().upper())
            for column in line.cells
            if column not in found.values()
        ):
            # With a fifth level left out, rows would look like repetitions of one another.
            self._columns = found

    def _no_levels(self, line: Line) -> Fault:
        first = line.text(0)
        if mark := next((mark for mark in "|:" if any(column_of(cell) in LEVELS for cell in first.split(mark))), None):
            return Fault(self.table.where(line), f"the header {first!r} is divided by {mark!r}", "use ',', ';' or tab")
        return Fault(
            self.table.where(line), "no row names the columns of the levels", f"begin with {','.join(COLUMNS)}"
        )

    def _pass_over(self, above: Sequence[Line], header: Line) -> None:
        """Rows above the header: the review row, titles of one cell; anything else might be leaves."""
        titles = 0
        for line in above:
            if self._reads_review(line):
                continue
            if len(line.cells) == 1 and len(header.cells) > 1:
                titles += 1
            else:
                self._fault(line, min(line.cells), "a row above the header that is no title", "put the header first")
        if titles:
            self.read.append(f"{titles} title row{'s' * (titles != 1)} above the header passed over")

    def _reads_review(self, line: Line) -> bool:
        if (name := line.text(0).strip()) not in {BELOW, BY}:
            return False
        given = line.cells.get(1, "")
        if name == BY:
            self.review_by = given.strip() if isinstance(given, str) else ""
            return True
        try:
            self.review_below = float(given if isinstance(given, str) else "")
        except ValueError:
            self._fault(line, 1, "review_below is not a number", "give a probability from 0 to 1")
        return True

    def _row(self, line: Line) -> Row | None:
        before = len(self.faults)
        for name, column in self._columns.items():
            cell = line.cells.get(column)
            if isinstance(cell, NoText):
                self._fault(line, column, f"{name} is {cell.what}", cell.remedy)
        if extra := [column for column in line.cells if column not in self._named]:
            self._fault(line, min(extra), "a cell without a column name", "name the column or empty the cell")
        if not self._repeats_header(line) and not self._is_divided_otherwise(line) and len(self.faults) == before:
            path = self._path(line)
            if path is not None:
                self._above = path
                texts = {name: line.text(self._columns[name]) if name in self._columns else "" for name in TEXTS}
                synonyms = tuple(part.strip(" ") for part in texts["synonyms"].split("|")) if texts["synonyms"] else ()
                where = self.table.where(line, self._columns["L1"])
                return Row(path, where, texts["description"], synonyms, texts["team"], texts["workflow"])
        self._above = None
        return None

    def _path(self, line: Line) -> LabelPath | None:
        given = [line.text(self._columns[level]) for level in LEVELS if level in self._columns]
        while given and not given[-1]:
            given.pop()
        if not given:
            self._fault(line, self._columns["L1"], "the row has no label", "fill in L1")
            return None
        path: list[str] = []
        for depth, label in enumerate(given):
            carried = "" if label else self._label_above(tuple(path))
            if carried is None:
                return None
            if not label and not carried:
                what = f"{LEVELS[depth]} is empty, and the row above has none for it"
                self._fault(line, self._columns[LEVELS[depth]], what, "name it")
                return None
            path.append(label or carried)
        self._carried += len(line.filled & {self._columns[x] for x in LEVELS if x in self._columns}) > 0 or "" in given
        return tuple(path)

    def _label_above(self, path: LabelPath) -> str | None:
        """What stands above an empty level below a path: empty for nothing, None where the row above has a fault."""
        if self._above is None:
            return None
        goes_on = len(self._above) > len(path) and self._above[: len(path)] == path
        return self._above[len(path)] if goes_on else ""

    def _repeats_header(self, line: Line) -> bool:
        if len(line.cells) < 2 or any(column_of(line.text(c)) != name for name, c in self._columns.items()):  # noqa: PLR2004
            return False
        self._fault(line, 0, "the header stands here again", "remove the row")
        return True

    def _is_divided_otherwise(self, line: Line) -> bool:
        """One cell where the header has many, with another delimiter in it."""
        own = self.table.delimiter
        other = next((mark for mark in DELIMITERS if mark != own and mark in line.text(0)), None)
        if not own or not other or line.width != 1 or len(self._named) == 1:
            return False
        what = f"the row is divided by {named_delimiter(other)}, and the header by {named_delimiter(own)}"
        self._fault(line, 0, what, f"divide all rows by {named_delimiter(own)}")
        return True

    def _handed_down(self, rows: list[Row]) -> list[Row]:
        """Teams and workflows of inner nodes hold for those below that name none."""
        own = {row.path: row for row in rows}
        done, taken = [], 0
        for row in rows:
            above = [own[row.path[:depth]] for depth in range(len(row.path) - 1, 0, -1) if row.path[:depth] in own]
            team = row.team or next((each.team for each in above if each.team), "")
            workflow = row.workflow or next((each.workflow for each in above if each.workflow), "")
            taken += (team, workflow) != (row.team, row.workflow)
            done.append(replace(row, team=team, workflow=workflow))
        if taken:
            self.read.append(f"team or workflow taken from a row above in the tree for {taken} row{'s' * (taken != 1)}")
        return done

    def _fault(self, line: Line, column: int, what: str, remedy: str) -> None:
        self.faults.append(Fault(self.table.where(line, column), what, remedy))
