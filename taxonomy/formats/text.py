"""A file's bytes as text: its encoding by its byte-order mark, its size bounded."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.errors import Fault, TaxonomyInvalid

MAX_BYTES: Final = 32 * 1024 * 1024
"""Of a taxonomy file: 50,000 nodes of 600 bytes each stay under it."""
MAX_NODES: Final = 50_000
"""Labels or rows that a taxonomy file may hold: no prompt and no grammar takes more."""
# UTF-32's mark begins with UTF-16's.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHERS: Final = (
    (b"PK\x03\x04", "a zip archive (a workbook, perhaps)"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "compressed with gzip"),
)


class Text(NamedTuple):
    """encoding: as people name it; empty where it is UTF-8, the default."""

    text: str
    encoding: str = ""


def read_bytes(file: Path, limit: int = MAX_BYTES) -> bytes:
    """Raises TaxonomyInvalid for a file over the limit, OSError."""
    size = file.stat().st_size
    if size > limit:
        what = f"the file has {size:,} bytes, and a taxonomy at most {limit:,}"
        raise TaxonomyInvalid([Fault(str(file), what, "check that it is the right file")])
    return file.read_bytes()


def read_text(file: Path) -> Text:
    """UTF-8, or what the byte-order mark says. Raises TaxonomyInvalid with the line of what is none, OSError."""
    data = read_bytes(file)
    for start, what in _OTHERS:
        if data.startswith(start):
            remedy = f"save it as {file.suffix}, or give it its own ending"
            raise TaxonomyInvalid([Fault(str(file), f"not text but {what}", remedy)])
    mark, encoding = next((each for each in _MARKS if data.startswith(each[0])), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data[len(mark) : len(mark) + error.start].decode(encoding, "replace").count("\n") + 1
        what = f"not {_shown(encoding)} (byte 0x{error.object[error.start]:02X}: {error.reason})"
        remedy = "save it as UTF-8 (spreadsheets call it 'CSV UTF-8')" if "csv" in file.suffix else "save it as UTF-8"
        raise TaxonomyInvalid([Fault(f"{file}:{line}", what, remedy)]) from error
    if not mark and "\x00" in text[:100]:
        what = "null characters: UTF-16 without a byte-order mark, perhaps"
        raise TaxonomyInvalid([Fault(f"{file}:1", what, "save it as UTF-8")])
    return Text(text, "" if encoding == "utf-8" else _shown(encoding))


def _shown(encoding: str) -> str:
    return encoding.upper().removesuffix("-LE").removesuffix("-BE")
