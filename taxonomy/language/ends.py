"""Where a segment ends, as an answer says it: by copying chunk after chunk, or by the number of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Chunks = Sequence[Sequence[int]]


class ChunkEnds(Protocol):
    """A comment's chunks, taken in turn.

    taken: how many are in the segments so far. is_end: whether the segment may be closed now. is_last: whether no chunk
    is left. onward: the tokens by which the segment goes on. `begin` opens the next segment and `take` goes on with one
    of those tokens; both give the tokens that follow of themselves. `toward` gives the one with which the segment can
    end with a certain chunk; None where it does already.
    """

    @property
    def taken(self) -> int: ...
    @property
    def is_end(self) -> bool: ...
    @property
    def is_last(self) -> bool: ...
    @property
    def onward(self) -> Sequence[int]: ...
    def begin(self) -> Sequence[int]: ...
    def take(self, token: int) -> Sequence[int]: ...
    def toward(self, end: int) -> int | None: ...


class Copied:
    """Each chunk stands in the answer, whole."""

    __slots__ = ("_chunks", "taken")

    is_end = True

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.taken = 0

    @property
    def is_last(self) -> bool:
        return self.taken == len(self._chunks)

    @property
    def onward(self) -> Sequence[int]:
        return () if self.is_last else self._chunks[self.taken][:1]

    def begin(self) -> Sequence[int]:
        self.taken += 1
        return self._chunks[self.taken - 1]

    def take(self, token: int) -> Sequence[int]:  # noqa: ARG002 (there is one alone)
        return self.begin()[1:]

    def toward(self, end: int) -> int | None:
        return self._chunks[self.taken][0] if self.taken < end else None


class Read:
    """Each chunk stands in the answer, and nowhere else; where a segment has ended is said after one chunk more.

    chunks: the comment's, and after them what stands for its end.
    """

    __slots__ = ("_chunks", "_read")

    is_end = True

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._read = 0

    @property
    def taken(self) -> int:
        return self._read - 1

    @property
    def is_last(self) -> bool:
        return self._read == len(self._chunks)

    @property
    def onward(self) -> Sequence[int]:
        return () if self.is_last else self._chunks[self._read][:1]

    def begin(self) -> Sequence[int]:
        first, self._read = self._read or 0, max(2, self._read + 1)
        return [token for chunk in self._chunks[first : self._read] for token in chunk]

    def take(self, token: int) -> Sequence[int]:  # noqa: ARG002 (there is one alone)
        return self.begin()[1:]

    def toward(self, end: int) -> int | None:
        return self._chunks[self._read][0] if self.taken < end else None


class Numbered:
    """The number of the last chunk stands in the answer: any that is larger than the one before.

    A number may be several tokens, and the beginning of a longer one; what comes after a number is never a part of one.
    """

    __slots__ = ("_chunks", "_possible", "_written", "taken")

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.taken = 0
        self._written = 0
        self._possible: Sequence[int] = ()

    @property
    def is_end(self) -> bool:
        """The shortest of the numbers that begin so is whole."""
        return self._written > 0 and any(len(self._chunks[i]) == self._written for i in self._possible)

    @property
    def is_last(self) -> bool:
        return self.taken == len(self._chunks)

    @property
    def onward(self) -> Sequence[int]:
        longer = (self._chunks[i] for i in self._possible)
        return sorted({run[self._written] for run in longer if len(run) > self._written})

    def begin(self) -> Sequence[int]:
        self._possible = range(self.taken, len(self._chunks))
        self._written = 0
        return ()

    def take(self, token: int) -> Sequence[int]:
        at = self._written
        self._possible = [i for i in self._possible if len(self._chunks[i]) > at and self._chunks[i][at] == token]
        self._written += 1
        whole = [i for i in self._possible if len(self._chunks[i]) == self._written]
        self.taken = whole[0] + 1 if whole else self.taken
        return ()

    def toward(self, end: int) -> int | None:
        return None if self._written == len(self._chunks[end - 1]) else self._chunks[end - 1][self._written]
