"""CSV and XLSX taxonomy files: one row a leaf, columns L1..L4, description, synonyms, team, workflow.

Synonyms are joined by " | ". A row whose last levels are empty describes an inner node. A `review_below` other than
the default stands in a row of its own, `#review_below,0.4`, before the header.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EIO
from io import BytesIO, StringIO
from pathlib import Path

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils import get_column_letter

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.files import whole
from taxonomy.labels import LEVELS
from taxonomy.tree import DEFAULT_REVIEW_BELOW, Taxonomy
from taxonomy.validate import Row, taxonomy_from_rows

_TEXTS = ("description", "synonyms", "team", "workflow")
_COLUMNS = (*LEVELS, *_TEXTS)
_REVIEW = "#review_below"
_JOIN = " | "


@dataclass(frozen=True, slots=True)
class _Line:
    """A row's cells as they stand; `cell(i)` names the place of one of them."""

    cells: tuple[object, ...]
    number: int
    file: str
    sheet: str = ""

    def cell(self, column: int = 0) -> str:
        if self.sheet:
            return f"{self.file}:{self.sheet}!{get_column_letter(column + 1)}{self.number}"
        return f"{self.file}:{self.number}"


def read_csv(file: Path) -> Taxonomy:
    """UTF-8, with or without a byte-order mark. Raises TaxonomyInvalid with every fault and its line."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaxonomyInvalid([Fault(str(file), f"not UTF-8 ({error.reason})", "save it as UTF-8")]) from error
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    lines, start = [], 1
    try:
        for cells in reader:
            lines.append(_Line(tuple(cells), start, str(file)))
            start = reader.line_num + 1
    except csv.Error as error:
        where = f"{file}:{start}"
        raise TaxonomyInvalid([Fault(where, f"not CSV ({error})", "mend the quotes")]) from error
    return _taxonomy(lines, str(file))


def read_xlsx(file: Path) -> Taxonomy:
    """The first sheet of the workbook. Raises TaxonomyInvalid with every fault and its cell."""
    try:
        workbook = openpyxl.load_workbook(file, read_only=True)
    except Exception as error:  # openpyxl raises whatever its zip and XML readers do
        raise TaxonomyInvalid([Fault(str(file), f"not a workbook ({error})", "save it as .xlsx")]) from error
    sheet = workbook.worksheets[0]
    rows = sheet.iter_rows(values_only=True)
    lines = [
        _Line(tuple("" if c is None else c for c in cells), number, str(file), sheet.title)
        for number, cells in enumerate(rows, 1)
    ]
    workbook.close()
    return _taxonomy(lines, str(file))


def _taxonomy(lines: Sequence[_Line], source: str) -> Taxonomy:
    lines = [line for line in lines if any(cell != "" for cell in line.cells)]
    faults: list[Fault] = []
    review_below = DEFAULT_REVIEW_BELOW
    if lines and lines[0].cells[0] == _REVIEW:
        review_below = _review_below(lines[0], faults)
        lines = lines[1:]
    if not lines:
        raise TaxonomyInvalid([Fault(source, "the table is empty", f"begin it with {','.join(_COLUMNS)}")])
    header = _header(lines[0], faults)
    named = {column for column, name in enumerate(lines[0].cells) if name != ""}
    rows = [row for line in lines[1:] if (row := _row(line, header, named, faults))] if header else []
    return taxonomy_from_rows(rows, faults, source, review_below)


def _review_below(line: _Line, faults: list[Fault]) -> float:
    try:
        return float(str(line.cells[1]))
    except (ValueError, IndexError):
        faults.append(Fault(line.cell(1), "review_below is not a number", "give a probability from 0 to 1"))
        return DEFAULT_REVIEW_BELOW


def _header(line: _Line, faults: list[Fault]) -> dict[str, int]:
    """The columns by name; none where it cannot be said which columns are the levels."""
    header: dict[str, int] = {}
    for column, name in enumerate(line.cells):
        if name in header:
            faults.append(Fault(line.cell(column), f"the column {name!r} stands twice", "keep one"))
        elif name in _COLUMNS:
            header[str(name)] = column
        elif name != "":
            faults.append(Fault(line.cell(column), f"unknown column {name!r}", f"use {','.join(_COLUMNS)}"))
    levels = [level for level in LEVELS if level in header]
    if not levels or levels != list(LEVELS[: len(levels)]):
        faults.append(Fault(line.cell(), "the columns of the levels are incomplete", "begin with L1, L2, ..."))
        return {}
    return header


def _row(line: _Line, header: dict[str, int], named: set[int], faults: list[Fault]) -> Row | None:
    values = {name: line.cells[column] if column < len(line.cells) else "" for name, column in header.items()}
    before = len(faults)
    for name, value in values.items():
        if not isinstance(value, str):
            remedy = "format the cell as text"
            faults.append(Fault(line.cell(header[name]), f"{name} is not text but {value!r}", remedy))
    extra = [column for column, cell in enumerate(line.cells) if cell != "" and column not in named]
    if extra:
        faults.append(Fault(line.cell(extra[0]), "a cell without a column name", "name the column or empty the cell"))
    labels = [str(values[level]) for level in LEVELS if level in values]
    while labels and not labels[-1]:
        labels.pop()
    if not labels:
        faults.append(Fault(line.cell(), "the row has no label", "fill in L1"))
    if len(faults) > before:
        return None
    texts = {name: str(values.get(name, "")) for name in _TEXTS}
    synonyms = tuple(texts["synonyms"].split(_JOIN)) if texts["synonyms"] else ()
    return Row(tuple(labels), line.cell(), texts["description"], synonyms, texts["team"], texts["workflow"])


def write_csv(taxonomy: Taxonomy, file: Path) -> None:
    with whole(file) as part, part.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(_written(taxonomy))


def write_xlsx(taxonomy: Taxonomy, file: Path) -> None:
    # In memory first: on a full disk openpyxl's own writer fails once more where nobody can catch it.
    try:
        written = _workbook(taxonomy)
    except Exception as error:  # openpyxl raises whatever its zip and XML writers do
        raise OSError(EIO, f"openpyxl cannot write its temporary files ({error})", str(file)) from error
    with whole(file) as part:
        part.write_bytes(written)


def _workbook(taxonomy: Taxonomy) -> bytes:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("taxonomy")
    for cells in _written(taxonomy):
        row = []
        for text in cells:
            cell = WriteOnlyCell(sheet, text or None)
            if text:
                cell.data_type = "s"  # a label may begin with "=", which is no formula here
            row.append(cell)
        sheet.append(row)
    written = BytesIO()
    workbook.save(written)
    return written.getvalue()


def _written(taxonomy: Taxonomy) -> Iterable[list[str]]:
    levels = LEVELS[: taxonomy.depth]
    has_synonyms = any(leaf.synonyms for leaf in taxonomy.leaves) or any(n.synonyms for n in taxonomy.notes.values())
    if taxonomy.review_below != DEFAULT_REVIEW_BELOW:
        yield [_REVIEW, repr(taxonomy.review_below)]
    yield [*levels, "description", *(["synonyms"] if has_synonyms else []), "team", "workflow"]
    for path, note in taxonomy.notes.items():
        padding = [""] * (taxonomy.depth - len(path))
        yield [*path, *padding, note.description, *([_JOIN.join(note.synonyms)] if has_synonyms else []), "", ""]
    for leaf in taxonomy.leaves:
        synonyms = [_JOIN.join(leaf.synonyms)] if has_synonyms else []
        yield [*leaf.path, leaf.description, *synonyms, leaf.team, leaf.workflow]
