"""CSV and TSV files: their encoding and delimiter found, their rows as cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.cells import Line, Table
from taxonomy.formats.loaded import Loaded
from taxonomy.formats.tables import DELIMITERS, Columns, known_columns, named_delimiter, taxonomy_of_table
from taxonomy.formats.text import MAX_NODES, read_text
from taxonomy.names import is_blank

_MAX_LINES: Final = 1_048_576
"""A worksheet's; most of them blank."""
_MAX_CELLS: Final = 4_000_000
_HEAD: Final = 50
_SEP: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t ]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
"""What spreadsheets write and read before the header, to say what divides the cells."""


def read_delimited(file: Path) -> Loaded:
    """Raises TaxonomyInvalid with every fault and its line."""
    return taxonomy_of_table(delimited_table(file, known_columns, MAX_NODES + _HEAD))


def delimited_table(file: Path, columns: Columns, most: int | None = None) -> Table:
    """`,`, `;` or tab, whichever divides a header of most columns. most: rows that are read, and one more.

    Raises TaxonomyInvalid, OSError.
    """
    text, encoding = read_text(file)
    text, lines_before, delimiter = _announced(text)
    usual = "\t" if file.suffix.lower() == ".tsv" else ","
    delimiter = delimiter or _delimiter(text, usual, columns)
    read = [f"encoded in {encoding}"] if encoding else []
    if delimiter != usual:
        read.append(f"divided by {named_delimiter(delimiter)}")
    lines = (
        Line(number, cells, width=len(row))
        for number, row in _rows(text, delimiter, str(file), lines_before)
        if (cells := {column: cell for column, cell in enumerate(row) if not is_blank(cell)})
    )
    return Table(str(file), list(islice(lines, most and most + 1)), delimiter=delimiter, read=read)


def _announced(text: str) -> tuple[str, int, str | None]:
    """The text without its line `sep=`, how many lines that was, and the delimiter that it names."""
    found = _SEP.match(text)
    return (text[found.end() :], 1, found[1]) if found else (text, 0, None)


def _delimiter(text: str, usual: str, columns: Columns) -> str:
    """The one under which the header has most columns that we know; the usual one where that does not decide."""

    def known(delimiter: str) -> int:
        head = csv.reader(StringIO(text[:100_000], newline=""), delimiter=delimiter)
        lines = []
        try:
            lines = [Line(0, dict(enumerate(row))) for row in islice(head, _HEAD)]
        except csv.Error:
            return 0
        return columns(lines)

    return max(sorted(DELIMITERS, key=lambda each: each != usual), key=known)


def _rows(text: str, delimiter: str, file: str, lines_before: int) -> Iterator[tuple[int, list[str]]]:
    """Rows and the line that each begins in."""
    if max(text.count("\n"), text.count("\r")) > _MAX_LINES or text.count(delimiter) > _MAX_CELLS:
        what = f"over {_MAX_LINES:,} lines or {_MAX_CELLS:,} cells"
        raise TaxonomyInvalid([Fault(file, what, "check that it is the right file")])
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = lines_before + 1
    try:
        for cells in reader:
            yield start, cells
            start = lines_before + reader.line_num + 1
    except csv.Error as error:
        raise TaxonomyInvalid([Fault(f"{file}:{start}", f"not CSV ({error})", "mend the quotes")]) from error
