"""JSON Lines as people have them: every file of rows is read here, so that all are read alike.

UTF-8 with or without a byte-order mark, plain or gzip; lines end in LF, CRLF or CR; blank lines are passed over; a JSON
array of objects stands for its elements, a row each. A row is an object.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar

from taxonomy.errors import DataInvalid

T = TypeVar("T")
FAULTS_SHOWN: Final = 20
"""Rows in error that one message names; it says how many more there are."""
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = "\ufeff"
_SPACE: Final = frozenset(" \t\n\r")


class Row(NamedTuple):
    """An object of a file. where: file and line, for a person. line: its number, from 1."""

    value: dict[str, Any]
    where: str
    line: int


class _Line(NamedTuple):
    number: int
    text: str


def read_rows(file: Path) -> Iterator[Row | DataInvalid]:
    """The rows in order; one in error comes as the error that names its line, and the reading goes on.

    In error is what is no JSON object, or holds a key twice, a lone surrogate or a number that JSON has not. Raises
    DataInvalid where the rest cannot be read either (not UTF-8, broken gzip, an array that breaks off), OSError.
    """
    with _opened(file) as data:
        lines = _lines(data, file)
        first = next(lines, None)
        if first is None:
            return
        decoder = _Decoder()
        following: Iterator[_Line] = chain([first], lines)
        if first.text.startswith("["):
            given = list(following)
            if len(given) == 1 or not _is_whole(decoder, first.text):
                yield from _Array(file, given).rows(decoder)
                return
            # An array that ends where its line ends is a row like the others, and no object.
            following = iter(given)
        yield from (_row(decoder, line, f"{file}:{line.number}") for line in following)


def parsed(file: Path, parse: Callable[[Row], T]) -> Iterator[T | DataInvalid]:
    """What `parse` makes of each row of a file, as `each_parsed`. Raises as `read_rows` does."""
    return each_parsed(read_rows(file), parse)


def each_parsed(rows: Iterable[Row | DataInvalid], parse: Callable[[Row], T]) -> Iterator[T | DataInvalid]:
    """What `parse` makes of each row; its ValueError, KeyError and the like become errors that name the row."""
    for row in rows:
        if isinstance(row, DataInvalid):
            yield row
            continue
        try:
            yield parse(row)
        except KeyError as error:
            yield DataInvalid(f"{row.where}: the field {error} is missing", row.line)
        except (ValueError, TypeError, AttributeError) as error:
            yield DataInvalid(f"{row.where}: {error}", row.line)


def without_faults(rows: Iterable[T | DataInvalid]) -> Iterator[T]:
    """The rows as they come. Raises DataInvalid at the end of those in error: it names the first, and counts them all.

    After the first in error no row is given any more.
    """
    faults: list[DataInvalid] = []
    count = 0
    for row in rows:
        if isinstance(row, DataInvalid):
            count += 1
            faults += [row] * (count <= FAULTS_SHOWN)
        elif not count:
            yield row
    if count:
        raise one_error(faults, count)


def one_error(faults: list[DataInvalid], count: int) -> DataInvalid:
    """The error that says all of them, a line each. count: how many there are, with those that are not in the list."""
    if count == 1:
        return faults[0]
    more = [f"and {count - len(faults)} more"] if count > len(faults) else []
    return DataInvalid("\n  ".join([f"{count} rows in error:", *map(str, faults), *more]))


def first_row(file: Path) -> dict[str, Any]:
    """The first row that is not in error, which says what a file holds; an empty one where there is none. Raises as
    `read_rows` does.
    """
    return next((row.value for row in read_rows(file) if isinstance(row, Row)), {})


def id_text(value: object) -> str:
    """An id as text: a whole number is read as its digits. Raises ValueError."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("the field 'id' is neither text nor a whole number")


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """The bytes, unpacked. Opened once, so that a pipe will do. Raises DataInvalid."""
    with file.open("rb") as raw:
        head = raw.peek(4)[:4]
        encoding = json.detect_encoding(head)
        if not encoding.startswith("utf-8"):
            raise DataInvalid(f"{file}: {encoding[:6].upper()}, not UTF-8; save it as UTF-8")
        if not head.startswith(_GZIP):
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield io.BufferedReader(unpacked)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataInvalid(f"{file}: the gzip data is broken ({error})") from error


def _lines(data: IO[bytes], file: Path) -> Iterator[_Line]:
    """Those that hold something. No other character ends a line than those that end one of bytes."""
    ends = (line for piece in data for line in piece.splitlines())
    for number, line in enumerate(ends, 1):
        try:
            text = line.decode().lstrip(_BOM)  # files with a mark each may have been laid end to end
        except UnicodeDecodeError as error:
            what = f"not UTF-8 (0x{line[error.start]:02x} at byte {error.start + 1} of the line)"
            raise DataInvalid(f"{file}:{number}: {what}; save the file as UTF-8") from error
        if text.strip():
            yield _Line(number, text.strip())


def _row(decoder: _Decoder, line: _Line, where: str) -> Row | DataInvalid:
    try:
        return Row(_checked(decoder.whole(line.text)), where, line.number)
    except json.JSONDecodeError as error:
        if error.pos >= len(line.text):
            what = "the line ends in the middle of it; write an object a line, or all of them in one array"
            return DataInvalid(f"{where}: not JSON: {what}", line.number)
        return DataInvalid(f"{where}: not JSON: {error.msg} at character {error.pos + 1}", line.number)
    except ValueError as error:
        return DataInvalid(f"{where}: {error}", line.number)


def _is_whole(decoder: _Decoder, text: str) -> bool:
    try:
        decoder.whole(text)
    except ValueError:
        return False
    return True


class _Array:
    """An array of objects that stands in place of lines, however it is laid out."""

    def __init__(self, file: Path, lines: list[_Line]) -> None:
        self._file = file
        self._numbers = [line.number for line in lines]
        self._text = "\n".join(line.text for line in lines)
        self._starts = list(accumulate((len(line.text) + 1 for line in lines[:-1]), initial=0))

    def rows(self, decoder: _Decoder) -> Iterator[Row | DataInvalid]:
        """Raises DataInvalid where it breaks off: what follows cannot be read."""
        at, text = self._after_space(1), self._text
        while not text.startswith("]", at):
            line, where = self._line(at), self._where(at)
            try:
                element = decoder.element(text, at)
            except json.JSONDecodeError as error:
                raise self._broken(error.pos, error.msg) from error
            except ValueError as error:
                raise DataInvalid(f"{where}: {error}") from error
            try:
                yield Row(_checked(element), where, line)
            except ValueError as error:
                yield DataInvalid(f"{where}: {error}", line)
            at = self._next(self._after_space(element.end))
        if (after := self._after_space(at + 1)) < len(text):
            raise self._broken(after, "something follows its end")

    def _next(self, at: int) -> int:
        """Where the next element begins, or the array's end stands."""
        if self._text.startswith("]", at):
            return at
        if not self._text.startswith(",", at):
            raise self._broken(at, "Expecting ',' delimiter")
        following = self._after_space(at + 1)
        if self._text.startswith("]", following):
            raise self._broken(at, "a comma before its end")
        return following

    def _after_space(self, at: int) -> int:
        while self._text[at : at + 1] in _SPACE:
            at += 1
        return at

    def _line(self, at: int) -> int:
        return self._numbers[bisect_right(self._starts, at) - 1]

    def _where(self, at: int) -> str:
        return f"{self._file}:{self._line(at)}"

    def _broken(self, at: int, why: str) -> DataInvalid:
        return DataInvalid(f"{self._where(at)}: the array of rows breaks off here: {why}")


class _Element(NamedTuple):
    """A value, what is wrong with it, and where its text ends."""

    value: Any
    fault: str | None
    end: int


class _Decoder:
    """JSON's own decoder, which notes what it would take without a word."""

    def __init__(self) -> None:
        self._repeated: str | None = None
        self._has_odd_number = False
        self._json = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def whole(self, text: str) -> _Element:
        """A text that is one value. Raises ValueError."""
        element = self.element(text, 0)
        if element.end < len(text):
            raise json.JSONDecodeError("more follows the row's end", text, element.end)
        return element

    def element(self, text: str, at: int) -> _Element:
        """The value that begins there. Raises ValueError."""
        self._repeated, self._has_odd_number = None, False
        try:
            value, end = self._json.raw_decode(text, at)
            return _Element(value, self._fault(value, text[at:end]), end)
        except json.JSONDecodeError:
            raise
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except ValueError:  # of int(), whose remedy is none for a person
            raise ValueError("a whole number has too many digits") from None

    def _fault(self, value: Any, text: str) -> str | None:
        if self._repeated is not None:
            return f"the key {self._repeated!r} stands twice in one object"
        if self._has_odd_number or "\\ud" in text or "\\uD" in text:
            return next(_odd(value, ""), None)
        return None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            self._repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        return made

    def _constant(self, name: str) -> float:
        self._has_odd_number = True
        return float(name)

    def _float(self, digits: str) -> float:
        number = float(digits)
        self._has_odd_number |= math.isinf(number)
        return number


def _odd(value: Any, field: str) -> Iterator[str]:
    """What no JSON text should hold, with the field that holds it."""
    if isinstance(value, dict):
        for key, held in value.items():
            if _is_broken(key):
                yield f"{field or 'the row'}: a key holds a lone surrogate, which is no character"
            yield from _odd(held, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from _odd(held, f"{field}[{index}]")
    elif isinstance(value, str) and _is_broken(value):
        yield f"{field}: holds a lone surrogate, which is no character"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{field}: not a number of JSON's (NaN, infinite or out of range)"


def _is_broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _checked(element: _Element) -> dict[str, Any]:
    """The object. Raises ValueError."""
    if not isinstance(element.value, dict):
        raise ValueError("the row is not an object")  # noqa: TRY004 (the row is wrong, not the caller)
    if element.fault:
        raise ValueError(element.fault)
    return element.value
