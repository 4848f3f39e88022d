"""The parts of an XLSX file: a zip archive of XML, read within bounds, and nothing that it says of itself believed."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import ClassVar, Final, NoReturn, Protocol
from xml.etree.ElementTree import ParseError, XMLParser

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.text import read_bytes

_MAX_PART: Final = 96 * 1024 * 1024
"""Bytes of one part, unpacked."""
_MAX_ELEMENTS: Final = 1_300_000
"""Of all parts that are read: 50,000 rows of eight cells have 1.25 million."""
_CHUNK: Final = 1 << 16
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_ESCAPE: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_REMEDY: Final = "save it as .xlsx in a spreadsheet"
_WHOLE: Final = "save it anew in a spreadsheet"


class Handler(Protocol):
    """What takes a part's XML: names without their namespaces.

    within: of elements that hold what is read, those that may stand in them; no other one is passed over in silence.
    """

    within: ClassVar[Mapping[str, frozenset[str]]]

    def start(self, tag: str, attributes: Mapping[str, str]) -> None: ...
    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


class Package:
    """The archive. Every method raises TaxonomyInvalid with one fault where a part is broken or too large."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self.elements = 0
        data = read_bytes(file)
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
            self.refuse(*_no_zip(data, error))
        names = {info.filename for info in self._zip.infolist()}
        if what := _other_archive(names):
            self.refuse(what, _REMEDY)
        self._names = {name.casefold(): name for name in names}

    def refuse(self, what: str, remedy: str = _WHOLE) -> NoReturn:
        raise TaxonomyInvalid([Fault(self._file, what, remedy)])

    def has(self, part: str) -> bool:
        return part.casefold() in self._names

    def parse(self, part: str, handler: Handler) -> None:
        """Hand a part's XML to a handler."""
        name = self._names.get(part.casefold())
        if name is None:
            self.refuse(f"the workbook has no part {part!r}")
        # What makes XML dangerous needs a document type, which the target refuses.
        parser = XMLParser(target=_Target(handler, self, part))  # noqa: S314
        try:
            if self._zip.getinfo(name).file_size > _MAX_PART:
                self.refuse(
                    f"the part {part!r} has over {_MAX_PART:,} bytes unpacked", "check that it is the right file"
                )
            with self._zip.open(name) as stream:
                while chunk := stream.read(_CHUNK):
                    parser.feed(chunk)
            parser.close()
        except (ParseError, LookupError, ValueError, UnicodeError) as error:
            self.refuse(f"the part {part!r} is not XML ({error})")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            self.refuse(f"the part {part!r} cannot be unpacked ({error})")
        except RuntimeError as error:  # zipfile's for a part that is encrypted
            self.refuse(f"the part {part!r} cannot be unpacked ({error})", "save it without a password")

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to (the archive itself: ""), by id: the kind and the part, no external ones."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        found = _Relations(folder)
        if self.has(relations):
            self.parse(relations, found)
        return found.by_id


def _no_zip(data: bytes, error: Exception) -> tuple[str, str]:
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            return "the workbook is protected by a password", "save it without one"
        return "an old workbook (.xls) under another ending", _REMEDY
    if data.lstrip()[:1] in {b"<", b"{"} or _is_text(data[:1000]):
        return (
            "text and no workbook",
            "give it the ending of its format (.csv, .tsv, .yaml, .json), or save it as .xlsx",
        )
    return f"not a workbook ({error})", _REMEDY


def _is_text(data: bytes) -> bool:
    return bool(data) and all(byte >= 0x20 or byte in b"\t\r\n" for byte in data)  # noqa: PLR2004 (a space)


def _other_archive(names: set[str]) -> str:
    """What a zip archive without a workbook's parts is."""
    if "xl/workbook.bin" in names:
        return "a binary workbook (.xlsb) under another ending"
    if "content.xml" in names and "mimetype" in names:
        return "an OpenDocument file (.ods) under another ending"
    if any(name.startswith("Index") for name in names):
        return "a Numbers document under another ending"
    if "[Content_Types].xml" not in names:
        return "a zip archive and no workbook"
    return ""


class _Target:
    """Stands between the parser and a handler: bounds the number of elements, refuses those that have no place."""

    def __init__(self, handler: Handler, package: Package, part: str) -> None:
        self._start, self._data, self._end = handler.start, handler.data, handler.end
        self._package, self._part = package, part
        self._within, self._open = handler.within, [""]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._package.elements += 1
        if self._package.elements > _MAX_ELEMENTS:
            what = f"the workbook has over {_MAX_ELEMENTS:,} elements up to its part {self._part!r}"
            self._package.refuse(what, "check that it is the right file, and remove rows that are formatted and empty")
        name = tag.rpartition("}")[2]
        allowed = self._within.get(self._open[-1])
        if allowed is not None and name not in allowed:
            what = f"the part {self._part!r} has an element {name!r} within {self._open[-1]!r}"
            self._package.refuse(f"{what}, where none is known")
        self._open.append(name)
        self._start(name, attributes)

    def end(self, tag: str) -> None:  # noqa: ARG002 (the parser's signature)
        self._end(self._open.pop())

    def data(self, text: str) -> None:
        if self._within.get(self._open[-1]) and not text.isspace():
            self._package.refuse(f"the part {self._part!r} has text within {self._open[-1]!r}, where none is known")
        self._data(text)

    def doctype(self, *_: object) -> NoReturn:
        self._package.refuse(f"the part {self._part!r} has a document type, which no workbook has")


TEXT_ELEMENTS: Final = {
    "r": frozenset({"rPr", "t"}),
    "rPh": frozenset({"t"}),
    "t": frozenset[str](),
}
"""What texts consist of: runs, and what is written above them for their pronunciation."""
IN_TEXT: Final = frozenset({"t", "r", "rPh", "phoneticPr"})


def unescaped(text: str) -> str:
    """What XML cannot hold, a workbook writes as `_xHHHH_`."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class _Relations:
    within: ClassVar[Mapping[str, frozenset[str]]] = {"Relationships": frozenset({"Relationship"})}

    def __init__(self, folder: str) -> None:
        self.by_id: dict[str, tuple[str, str]] = {}
        self._folder = folder

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            part = (
                target.lstrip("/")
                if target.startswith("/")
                else posixpath.normpath(posixpath.join(self._folder, target))
            )
            self.by_id[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], part)

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...
