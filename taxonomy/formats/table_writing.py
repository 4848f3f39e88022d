"""Taxonomies written as CSV, TSV and XLSX tables: each row with its whole path."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from errno import EIO
from io import BytesIO
from pathlib import Path
from typing import Final

from taxonomy.errors import CallWrong
from taxonomy.files import whole
from taxonomy.formats.tables import BELOW, BY
from taxonomy.labels import LEVELS
from taxonomy.tree import DEFAULT_REVIEW_BELOW, REVIEW_BY, Taxonomy

_JOIN: Final = " | "
_CELL: Final = 32_767
"""Characters that a workbook's cell holds; openpyxl cuts what is longer."""
_LIKE_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


def write_csv(taxonomy: Taxonomy, file: Path) -> None:
    _write_delimited(taxonomy, file, ",")


def write_tsv(taxonomy: Taxonomy, file: Path) -> None:
    _write_delimited(taxonomy, file, "\t")


def _write_delimited(taxonomy: Taxonomy, file: Path, delimiter: str) -> None:
    with whole(file) as part, part.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(_rows(taxonomy))


def write_xlsx(taxonomy: Taxonomy, file: Path) -> None:
    """Raises CallWrong where a text is longer than a cell may be, OSError."""
    rows = [[_LIKE_ESCAPE.sub("_x005F_", text) for text in row] for row in _rows(taxonomy)]
    if any(len(text) > _CELL for row in rows for text in row):
        raise CallWrong(f"{file}: a text is over {_CELL:,} characters, which no cell holds; write .yaml or .csv")
    # In memory first: on a full disk openpyxl's own writer fails once more where nobody can catch it.
    try:
        written = _workbook(rows)
    except Exception as error:  # openpyxl raises whatever its zip and XML writers do
        raise OSError(EIO, f"openpyxl cannot write its temporary files ({error})", str(file)) from error
    with whole(file) as part:
        part.write_bytes(written)


def _workbook(rows: Iterable[list[str]]) -> bytes:
    # Only who writes a workbook waits for it: a third of a second.
    import openpyxl  # noqa: PLC0415
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("taxonomy")
    for texts in rows:
        row = []
        for text in texts:
            cell = WriteOnlyCell(sheet, text or None)
            if text:
                cell.data_type = "s"  # a label may begin with "=", which is no formula here
            row.append(cell)
        sheet.append(row)
    written = BytesIO()
    workbook.save(written)
    return written.getvalue()


def _rows(taxonomy: Taxonomy) -> Iterable[list[str]]:
    depth = taxonomy.depth
    has_synonyms = any(leaf.synonyms for leaf in taxonomy.leaves) or any(n.synonyms for n in taxonomy.notes.values())
    if taxonomy.review_below != DEFAULT_REVIEW_BELOW:
        yield [BELOW, repr(taxonomy.review_below)]
    if taxonomy.review_by != REVIEW_BY[0]:
        yield [BY, taxonomy.review_by]
    yield [*LEVELS[:depth], "description", *(["synonyms"] if has_synonyms else []), "team", "workflow"]
    for path, note in taxonomy.notes.items():
        synonyms = [_JOIN.join(note.synonyms)] if has_synonyms else []
        yield [*path, *[""] * (depth - len(path)), note.description, *synonyms, "", ""]
    for leaf in taxonomy.leaves:
        synonyms = [_JOIN.join(leaf.synonyms)] if has_synonyms else []
        padding = [""] * (depth - len(leaf.path))
        yield [*leaf.path, *padding, leaf.description, *synonyms, leaf.team, leaf.workflow]
