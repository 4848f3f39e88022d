"""Encoded rows on disk, read through memory maps: what is kept in memory does not grow with the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from train.data.encode import TrainingRow

Ints = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]
_NAMES: Final = ("tokens", "learned", "allowed", "allowed_counts")


@dataclass(frozen=True, slots=True)
class RaggedArray:
    """Lists of numbers of any length, end to end; list i ends at `ends[i]`."""

    values: Ints
    ends: Index

    def __getitem__(self, at: int) -> Ints:
        return self.values[int(self.ends[at - 1]) if at else 0 : int(self.ends[at])]

    def lengths_of(self, chosen: Index) -> Index:
        """The lengths of these lists."""
        lengths: Index = self.ends[chosen] - np.where(chosen > 0, self.ends[chosen - 1], 0)
        return lengths

    @property
    def lengths(self) -> Index:
        return np.diff(self.ends, prepend=0)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one source. allowed: all of a row, end to end. allowed_counts: how many each learned token has."""

    folder: Path
    tokens: RaggedArray
    learned: RaggedArray
    allowed: RaggedArray
    allowed_counts: RaggedArray

    def __len__(self) -> int:
        return len(self.tokens.ends)

    def __reduce__(self) -> tuple[Callable[[Path], Rows], tuple[Path]]:
        """Another process gets the place where they lie, not what they hold."""
        return mapped, (self.folder,)

    def __getitem__(self, at: int) -> TrainingRow:
        allowed = (
            np.split(self.allowed[at], np.cumsum(self.allowed_counts[at])[:-1]) if len(self.allowed_counts[at]) else []
        )
        return TrainingRow(self.tokens[at], self.learned[at], tuple(allowed))


def stored(rows: Iterable[TrainingRow], folder: Path) -> Rows:
    """Write the rows as they come into a new folder, and map them. Raises OSError that names what cannot be written."""
    folder.mkdir(parents=True)
    try:
        _write(rows, folder)
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise
    return mapped(folder)


def _write(rows: Iterable[TrainingRow], folder: Path) -> None:
    with ExitStack() as files:
        writers = [_Writer(folder / name, files) for name in _NAMES]
        for row in rows:
            for writer, values in zip(writers, _lists(row), strict=True):
                writer.add(values)


def mapped(folder: Path) -> Rows:
    """Rows that were stored in a folder."""
    return Rows(
        folder,
        *(RaggedArray(_mapped(folder / name, np.int32), _mapped(folder / f"{name}.ends", np.int64)) for name in _NAMES),
    )


class _Writer:
    def __init__(self, file: Path, files: ExitStack) -> None:
        self._values = files.enter_context(file.open("wb"))
        self._ends = files.enter_context(file.with_suffix(".ends").open("wb"))
        self._end = 0

    def add(self, values: Ints) -> None:
        self._end += len(values)
        self._values.write(values.astype(np.int32).tobytes())
        self._ends.write(np.int64(self._end).tobytes())


def _lists(row: TrainingRow) -> Iterator[Ints]:
    yield row.tokens
    yield row.learned
    yield np.concatenate(row.allowed) if row.allowed else np.empty(0, np.int32)
    yield np.array([len(allowed) for allowed in row.allowed], np.int32)


def _mapped(file: Path, kind: type[np.integer[Any]]) -> npt.NDArray[Any]:
    # An empty file cannot be mapped.
    return np.memmap(file, kind, "r") if file.stat().st_size else np.empty(0, kind)
