"""Taxonomy files: YAML and JSON trees, CSV, TSV and XLSX tables. What one writes, the others read back equal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from taxonomy.errors import CallWrong
from taxonomy.formats import delimited, table_writing, tree_writing, trees, workbook
from taxonomy.formats.loaded import Loaded
from taxonomy.tree import Taxonomy

T = TypeVar("T")
_WORKBOOK: Final = ".xlsx"

_READERS: Final[dict[str, Callable[[Path], Loaded]]] = {
    ".yaml": trees.read_yaml,
    ".yml": trees.read_yaml,
    ".json": trees.read_json,
    ".csv": delimited.read_delimited,
    ".tsv": delimited.read_delimited,
    _WORKBOOK: workbook.read_xlsx,
}
_WRITERS: Final[dict[str, Callable[[Taxonomy, Path], None]]] = {
    ".yaml": tree_writing.write_yaml,
    ".yml": tree_writing.write_yaml,
    ".json": tree_writing.write_json,
    ".csv": table_writing.write_csv,
    ".tsv": table_writing.write_tsv,
    _WORKBOOK: table_writing.write_xlsx,
}
_OTHERS: Final = {
    ".xls": "an old workbook",
    ".xlsb": "a binary workbook",
    ".xlsm": "a workbook with macros",
    ".ods": "an OpenDocument spreadsheet",
    ".numbers": "a Numbers spreadsheet",
}


def load_taxonomy(file: Path | str, sheet: str | None = None) -> Taxonomy:
    """Read a taxonomy by its file's ending. Raises as `read_taxonomy`."""
    return read_taxonomy(file, sheet).taxonomy


def read_taxonomy(file: Path | str, sheet: str | None = None) -> Loaded:
    """A taxonomy, and what was read to get it. sheet: of a workbook.

    Raises CallWrong (no such file, format or sheet), TaxonomyInvalid, OSError.
    """
    file = Path(file)
    reader = _of(_READERS, file)
    if not file.is_file():
        raise CallWrong(f"there is no taxonomy file {file}")
    if sheet is None:
        return reader(file)
    if file.suffix.lower() != _WORKBOOK:
        raise CallWrong(f"{file} has no sheets; leave out --sheet")
    return workbook.read_xlsx(file, sheet)


def sheet_of(file: Path, sheet: str | None) -> str | None:
    """The sheet to read where two files are named and one of them may be no workbook."""
    return sheet if file.suffix.lower() == _WORKBOOK else None


def save_taxonomy(taxonomy: Taxonomy, file: Path | str) -> None:
    """Write a taxonomy in the format of the file's ending. Raises CallWrong for a format we do not write."""
    file = Path(file)
    _of(_WRITERS, file)(taxonomy, file)


def _of(table: dict[str, T], file: Path) -> T:
    ending = file.suffix.lower()
    if ending in _OTHERS:
        raise CallWrong(f"{file} is {_OTHERS[ending]}, which is not read; save it as .xlsx or .csv")
    try:
        return table[ending]
    except KeyError:
        known = ", ".join(sorted(table))
        raise CallWrong(f"{file}: a taxonomy file ends in one of {known}, not {file.suffix!r}") from None
