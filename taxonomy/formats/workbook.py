"""XLSX files: which sheets a workbook has, its shared texts and formats, and the sheet that holds the taxonomy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from taxonomy.errors import CallWrong, Fault, TaxonomyInvalid
from taxonomy.formats.cells import Table
from taxonomy.formats.loaded import Loaded
from taxonomy.formats.package import IN_TEXT, TEXT_ELEMENTS, Package, unescaped
from taxonomy.formats.sheet import Book, read_sheet
from taxonomy.formats.tables import Columns, known_columns, taxonomy_of_table

_OTHER_SHEETS: Final = {"chartsheet", "dialogsheet", "xlMacrosheet", "xlIntlMacrosheet"}
_PLAIN_FORMATS: Final = {0, 1, 49}
"""General, whole numbers and text: an integer is shown as it is stored."""


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    part: str
    hidden: bool


def read_xlsx(file: Path, sheet: str | None = None) -> Loaded:
    """Raises TaxonomyInvalid with every fault and its cell, and as `workbook_table`."""
    return taxonomy_of_table(workbook_table(file, sheet, known_columns, "a taxonomy"))


def workbook_table(file: Path, sheet: str | None, columns: Columns, what: str) -> Table:
    """The sheet of that name, or the only visible one that has a header. what: the table that is sought, for faults.

    Raises TaxonomyInvalid with the sheets among which it cannot choose, CallWrong where there is no sheet of that name.
    """
    package = Package(file)
    sheets = _sheets(package)
    book = Book(package, str(file), _texts(package), _plain_formats(package))
    if sheet is not None:
        chosen = next((each for each in sheets if each.name == sheet), None)
        if chosen is None:
            raise CallWrong(f"{file}: there is no sheet {sheet!r}; it has {_named(sheets)}")
        return read_sheet(book, chosen.name, chosen.part)
    tables = {each: read_sheet(book, each.name, each.part) for each in sheets}
    return _chosen(file, tables, columns, what)


def _chosen(file: Path, tables: Mapping[Sheet, Table], columns: Columns, sought: str) -> Table:
    likely = [sheet for sheet, table in tables.items() if columns(table.lines)]
    visible = [sheet for sheet in likely if not sheet.hidden]
    if len(visible) > 1:
        what = f"several sheets look like {sought} ({_named(visible)})"
        raise TaxonomyInvalid([Fault(str(file), what, "say which with --sheet NAME, or keep one in the file")])
    if likely and not visible:
        what = f"the only sheets that look like {sought} are hidden ({_named(likely)})"
        raise TaxonomyInvalid([Fault(str(file), what, "show one, or say which with --sheet NAME")])
    shown = [sheet for sheet in tables if not sheet.hidden] or list(tables)
    table = tables[visible[0] if visible else shown[0]]
    if len(tables) > 1:
        table.read.insert(0, f"sheet {table.sheet!r} of {len(tables)}")
    return table


def _named(sheets: Sequence[Sheet]) -> str:
    return ", ".join(repr(sheet.name) for sheet in sheets)


def _sheets(package: Package) -> list[Sheet]:
    """The worksheets in their order; charts are none."""
    parts = (part for kind, part in package.relations("").values() if kind == "officeDocument")
    part = next(parts, "xl/workbook.xml")
    listed = _SheetList()
    package.parse(part, listed)
    relations = package.relations(part)
    sheets = []
    for name, state, key in listed.found:
        kind, target = relations.get(key, ("", ""))
        if kind == "worksheet" and package.has(target):
            sheets.append(Sheet(name, target, state in {"hidden", "veryHidden"}))
        elif kind not in _OTHER_SHEETS:
            package.refuse(f"the workbook has no part for its sheet {name!r}")
    if not sheets:
        package.refuse("the workbook has no worksheet")
    return sheets


def _part_of(package: Package, wanted: str, usual: str) -> str | None:
    parts = (part for kind, part in package.relations("").values() if kind == "officeDocument")
    relations = package.relations(next(parts, "xl/workbook.xml"))
    part = next((part for kind, part in relations.values() if kind == wanted), usual)
    return part if package.has(part) else None


def _texts(package: Package) -> list[str]:
    found = SharedTexts()
    if part := _part_of(package, "sharedStrings", "xl/sharedStrings.xml"):
        package.parse(part, found)
    return found.texts


def _plain_formats(package: Package) -> list[bool]:
    """Of each style of a cell, whether an integer is shown as it is stored."""
    found = _Styles()
    if part := _part_of(package, "styles", "xl/styles.xml"):
        package.parse(part, found)
    return found.plain


class _SheetList:
    within: ClassVar[Mapping[str, frozenset[str]]] = {"sheets": frozenset({"sheet"})}

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            key = next((value for name, value in attributes.items() if name.endswith("}id")), "")
            self.found.append((attributes.get("name", ""), attributes.get("state", "visible"), key))

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...


class SharedTexts:
    """`sharedStrings.xml`: texts in runs, without what is written above them for their pronunciation."""

    within: ClassVar[Mapping[str, frozenset[str]]] = {
        "sst": frozenset({"si", "extLst"}),
        "si": IN_TEXT,
        **TEXT_ELEMENTS,
    }

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False
        self._aside = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:  # noqa: ARG002 (a handler's)
        if tag == "si":
            self._pieces = []
        self._aside += tag == "rPh"
        self._in_text = tag == "t" and not self._aside

    def end(self, tag: str) -> None:
        self._aside -= tag == "rPh"
        self._in_text = False
        if tag == "si":
            self.texts.append(unescaped("".join(self._pieces)))

    def data(self, text: str) -> None:
        if self._in_text:
            self._pieces.append(text)


class _Styles:
    within: ClassVar[Mapping[str, frozenset[str]]] = {"cellXfs": frozenset({"xf"})}

    def __init__(self) -> None:
        self.plain: list[bool] = []
        self._in_cells = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "cellXfs":
            self._in_cells = True
        elif tag == "xf" and self._in_cells:
            self.plain.append(attributes.get("numFmtId", "0") in {str(each) for each in _PLAIN_FORMATS})

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._in_cells = False

    def data(self, text: str) -> None: ...
