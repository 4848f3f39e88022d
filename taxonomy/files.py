"""A file is written whole or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from taxonomy.errors import DataInvalid


@contextmanager
def whole(file: FilePath) -> Iterator[FilePath]:
    """What to write to: a file beside `file` that takes its place at the end, and is removed if there is no good end.

    What is there and is no plain file (a pipe, a device) is written to as it is. Raises OSError that names `file`.
    """
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex}") if file.is_file() or not file.exists() else file
    try:
        yield part
        if part != file:
            part.replace(file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        if part != file:
            part.unlink(missing_ok=True)


def numbered(file: FilePath) -> Iterator[tuple[int, str]]:
    """Lines and their numbers, from 1. Raises DataInvalid where the file is not UTF-8, OSError where there is none."""
    with file.open(encoding="utf-8") as lines:
        try:
            yield from enumerate(lines, 1)
        except UnicodeDecodeError as error:
            raise DataInvalid(f"{file}: not UTF-8 at byte {error.start}") from error


def write_text(text: str, file: FilePath) -> None:
    """UTF-8, line ends as they are. Raises OSError that names `file`."""
    with whole(file) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_jsonl(rows: Iterable[Mapping[str, Any]], file: FilePath) -> int:
    """One object a line; gives the number of rows. Raises OSError that names `file`."""
    count = 0
    with whole(file) as part, part.open("w", encoding="utf-8", newline="") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count
