"""Taxonomy files: YAML and JSON trees, CSV and XLSX tables. What one writes, each of the others reads back equal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from taxonomy.errors import CallWrong
from taxonomy.formats import tables, trees
from taxonomy.tree import Taxonomy

T = TypeVar("T")

_READERS: dict[str, Callable[[Path], Taxonomy]] = {
    ".yaml": trees.read_yaml,
    ".yml": trees.read_yaml,
    ".json": trees.read_json,
    ".csv": tables.read_csv,
    ".xlsx": tables.read_xlsx,
}
_WRITERS: dict[str, Callable[[Taxonomy, Path], None]] = {
    ".yaml": trees.write_yaml,
    ".yml": trees.write_yaml,
    ".json": trees.write_json,
    ".csv": tables.write_csv,
    ".xlsx": tables.write_xlsx,
}


def load_taxonomy(file: Path | str) -> Taxonomy:
    """Read a taxonomy by its file's ending. Raises CallWrong (no such file or format) or TaxonomyInvalid."""
    file = Path(file)
    reader = _of(_READERS, file)
    if not file.is_file():
        raise CallWrong(f"there is no taxonomy file {file}")
    return reader(file)


def save_taxonomy(taxonomy: Taxonomy, file: Path | str) -> None:
    """Write a taxonomy in the format of the file's ending. Raises CallWrong for a format we do not write."""
    file = Path(file)
    _of(_WRITERS, file)(taxonomy, file)


def _of(table: dict[str, T], file: Path) -> T:
    try:
        return table[file.suffix.lower()]
    except KeyError:
        known = ", ".join(sorted(table))
        raise CallWrong(f"{file}: a taxonomy file ends in one of {known}, not {file.suffix!r}") from None
