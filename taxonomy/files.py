"""A file is written whole or not at all, and so is a folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

UNFINISHED: Final = ".unfinished"
"""How the name of a folder ends that has not appeared yet."""
_TAKEN: Final = {errno.ENOTEMPTY, errno.EEXIST}


@contextmanager
def whole(file: Path) -> Iterator[Path]:
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


def write_text(text: str, file: Path) -> None:
    """UTF-8, line ends as they are. Raises OSError that names `file`."""
    with whole(file) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_jsonl(rows: Iterable[Mapping[str, Any]], file: Path) -> int:
    """One object a line; gives the number of rows. Raises OSError that names `file`."""
    count = 0
    with whole(file) as part, part.open("w", encoding="utf-8", newline="") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def appeared(target: Path, write: Callable[[Path], None]) -> bool:
    """Have a folder of files appear whole under its name, by one rename. False where that is taken. Raises OSError.

    An empty folder of that name is replaced. What was written is on the disk before the name is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        unfinished.mkdir()
        write(unfinished)
        synced(unfinished)
        unfinished.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _flushed(target.parent)
    return True


def synced(folder: Path) -> None:
    """Everything below a directory, and its list of names, is on the disk. Raises OSError."""
    for path in [*folder.rglob("*"), folder]:
        _flushed(path)


def _flushed(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
