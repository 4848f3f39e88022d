"""A comment's chunks as an answer holds them, one after the other."""

from __future__ import annotations

from collections.abc import Sequence


class Reading:
    """How far the chunks of a comment have come in an answer.

    chunks: their tokens. ahead: how many stand in the answer beyond the last one of a segment when it is closed; they
    begin the next. After the comment's own come as many that stand for its end.
    """

    __slots__ = ("_ahead", "_chunks", "_read")

    def __init__(self, chunks: Sequence[Sequence[int]], ahead: int) -> None:
        self._chunks = chunks
        self._ahead = ahead
        self._read = 0

    @property
    def taken(self) -> int:
        """Chunks in the segments so far, if the open one is closed now."""
        return self._read - self._ahead

    @property
    def is_over(self) -> bool:
        """No chunk is left."""
        return self._read == len(self._chunks)

    @property
    def onward(self) -> Sequence[int]:
        """The token by which the segment goes on, if it can."""
        return () if self.is_over else self._chunks[self._read][:1]

    def begin(self) -> list[int]:
        """Open a segment; gives the tokens that follow of themselves."""
        first, self._read = self._read, max(self._read, self._ahead) + 1
        return [token for chunk in self._chunks[first : self._read] for token in chunk]

    def go_on(self) -> list[int]:
        """Stay in the segment; gives the tokens after `onward`."""
        return self.begin()[1:]
