"""A file is written whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath


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
