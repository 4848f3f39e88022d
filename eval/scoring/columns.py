"""Segments of many comments as columns of numbers: what array arithmetic needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from taxonomy.labels import EMOTIONS, LEVELS, LabelPath

Numbers = NDArray[np.int64]


class LabelledSpan(Protocol):
    """A labelled stretch of a comment, gold or predicted."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def path(self) -> LabelPath: ...
    @property
    def emotion(self) -> str: ...


class Columns(NamedTuple):
    """One row a segment, in the order of the comments; `start` and `end` count from the first comment's begin.

    comment: number of the comment. path: code of the path. emotion: its place in EMOTIONS, one past them where none.
    A segment that stands nowhere is empty.
    """

    comment: Numbers
    start: Numbers
    end: Numbers
    path: Numbers
    emotion: Numbers

    @property
    def size(self) -> int:
        return len(self.comment)

    @property
    def lengths(self) -> Numbers:
        lengths: Numbers = self.end - self.start
        return lengths

    def rows_of(self, comment: int) -> Numbers:
        """Rows of one comment."""
        first, past = np.searchsorted(self.comment, [comment, comment + 1])
        return np.arange(first, past)

    def span(self, row: int) -> tuple[int, int]:
        return int(self.start[row]), int(self.end[row])


@dataclass
class Paths:
    """Every path seen and its code."""

    codes: dict[LabelPath, int] = field(default_factory=dict)

    def code(self, path: LabelPath) -> int:
        return self.codes.setdefault(path, len(self.codes))

    @property
    def depth(self) -> int:
        """Levels of the deepest path; four where there is none."""
        return max(map(len, self.codes), default=len(LEVELS)) or len(LEVELS)

    def at_level(self, level: int) -> Numbers:
        """For each code that of the path's first `level` labels, among such beginnings; a shorter path is its own."""
        beginnings: dict[LabelPath, int] = {}
        return np.array([beginnings.setdefault(path[:level], len(beginnings)) for path in self.codes], dtype=np.int64)

    def each(self, number_of: Callable[[LabelPath], int]) -> Numbers:
        """For each code a number of its path."""
        return np.array([number_of(path) for path in self.codes], dtype=np.int64)


def columns(comments: Iterable[Sequence[LabelledSpan]], lengths: Sequence[int], paths: Paths) -> Columns:
    """Columns of comments with so many characters each; paths not seen before get codes."""
    emotions = {emotion: code for code, emotion in enumerate(EMOTIONS)}
    rows: list[tuple[int, int, int, int, int]] = []
    begins = accumulate(lengths, initial=0)
    for number, (segments, begin) in enumerate(zip(comments, begins, strict=False)):
        for s in segments:
            emotion = emotions.get(s.emotion, len(EMOTIONS))  # type: ignore[call-overload]
            rows.append((number, begin + s.start, begin + s.end, paths.code(s.path), emotion))
    return Columns(*np.array(rows, dtype=np.int64).reshape(-1, 5).T)
