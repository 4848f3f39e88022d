"""Where a comment may be cut: Unicode sentence boundaries, then clause punctuation; any language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import regex
from icu4py.breakers import SentenceBreaker

MAX_CHUNKS = 64

# After clause punctuation, closing quotes or brackets and white space; in scripts without spaces, right after it; and
# after an emoji, which many customers use for a full stop.
_CLAUSE_END = regex.compile(
    r"(?:[,;:.!?…]+[\p{Pe}\p{Pf}\"']*|\s[-\u2013\u2014]+|[\u2013\u2014،؛]|\p{Extended_Pictographic}\ufe0f?)\s+"
    r"|[、，；：。！？]+[\p{Pe}\p{Pf}]*\s*"
)
_WORD = re.compile(r"[^\W_]")


def chunks(comment: str, limit: int = MAX_CHUNKS) -> tuple[str, ...]:
    """Cut a comment into at most `limit` chunks which, joined, are the comment; each holds a letter or a digit.

    A comment without any is one chunk; the empty comment has none. Over the limit, sentences stay whole, and then
    neighbours are joined evenly, so that the length of an answer is bounded by the length of its comment.
    """
    if not comment:
        return ()
    sentences = _wordy(list(SentenceBreaker(comment, "root")))
    clauses = _wordy([clause for sentence in sentences for clause in _clauses(sentence)])
    for pieces in (clauses, sentences):
        if len(pieces) <= limit:
            return tuple(pieces)
    size = -(-len(sentences) // limit)
    return tuple("".join(sentences[start : start + size]) for start in range(0, len(sentences), size))


def led_by_space(pieces: Sequence[str]) -> list[str]:
    """The same text, the white space between two pieces with the second; what is after the last one is left out."""
    bodies = [piece.rstrip() for piece in pieces]
    spaces = ["", *(piece[len(body) :] for piece, body in zip(pieces, bodies, strict=True))]
    return [space + body for space, body in zip(spaces, bodies, strict=False)]


def _clauses(sentence: str) -> list[str]:
    ends = [match.end() for match in _CLAUSE_END.finditer(sentence)]
    bounds = [0, *ends, len(sentence)]
    return [sentence[start:end] for start, end in pairwise(bounds) if start < end]


def _wordy(pieces: list[str]) -> list[str]:
    """Join each piece without a letter or digit to the one before it (the first: to the one after)."""
    joined: list[list[str]] = []
    wordless: list[str] = []
    for piece in pieces:
        if not _WORD.search(piece):
            (joined[-1] if joined else wordless).append(piece)
        else:
            joined.append([piece] if joined else [*wordless, piece])
    return ["".join(parts) for parts in joined or [wordless]]
