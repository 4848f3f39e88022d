"""What the engine decoded -> segments with spans, labels, probabilities and a team."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from serve.engine import Decoded
from serve.pair import Pair
from taxonomy.answer import EMOTION, NEXT, OPEN, Part, before_level, escaped, read
from taxonomy.errors import EngineFailed
from taxonomy.labels import LEVELS
from taxonomy.tree import Leaf


@dataclass(frozen=True, slots=True)
class Routed:
    """A segment and where its work goes. `confidence` has one probability a level and one of the emotion.

    A level's probability is that of the whole path down to it: the product of its decisions and of those above it.
    """

    part: Part
    start: int
    end: int
    leaf: Leaf
    confidence: dict[str, float]
    needs_review: bool


@dataclass(frozen=True, slots=True)
class Residue:
    """A stretch of the comment without feedback."""

    content: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Segments and residue, each by start; laid end to end they are the comment."""

    segments: tuple[Routed, ...]
    residue: tuple[Residue, ...]

    @property
    def needs_review(self) -> bool:
        return any(segment.needs_review for segment in self.segments)


def answer_of(comment: str, decoded: Decoded, pair: Pair) -> Answer:
    """Read the decoded answer. Raises EngineFailed where it is not an answer to this comment (a violation)."""
    pieces = [pair.bytes_of.decode_bytes([token]) for token in decoded.tokens]
    if decoded.tokens and decoded.tokens[-1] == pair.tokens.eos:
        pieces[-1] = b""
    try:
        parts = read(b"".join(pieces).decode())
    except (ValueError, KeyError) as error:
        raise EngineFailed(f"the engine's answer is not in the language of answers: {error}") from error
    if "".join(part.content for part in parts) != comment:
        raise EngineFailed("the engine's answer does not lay end to end to the comment")
    logprobs = _by_byte(pieces, decoded.logprobs)
    segments: list[Routed] = []
    residue: list[Residue] = []
    at = end = 0
    for index, part in enumerate(parts):
        at += len((NEXT if index else OPEN).encode()) + _size(escaped(part.content))
        start, end = end, end + len(part.content)
        if part.is_residue and residue and residue[-1].end == start:
            residue[-1] = Residue(residue[-1].content + part.content, residue[-1].start, end)
        elif part.is_residue:
            residue.append(Residue(part.content, start, end))
        else:
            segments.append(_routed(part, start, end, _confidence(part, logprobs, at), pair))
        at += _closing_size(part)
    return Answer(tuple(segments), tuple(residue))


def _routed(part: Part, start: int, end: int, confidence: dict[str, float], pair: Pair) -> Routed:
    leaf = pair.taxonomy.leaf(part.path)
    unsure = min(confidence.values()) < pair.taxonomy.review_below
    return Routed(part, start, end, leaf, confidence, unsure)


def _by_byte(pieces: Sequence[bytes], logprobs: Sequence[float]) -> list[float]:
    """Each token's log-probability at its last byte, 0 elsewhere: a token that straddles counts where it ends."""
    spread: list[float] = []
    for piece, logprob in zip(pieces, logprobs, strict=True):
        spread += [0.0] * (len(piece) - 1) + [logprob] if piece else []
    return spread


def _confidence(part: Part, logprobs: Sequence[float], at: int) -> dict[str, float]:
    """Probabilities of a segment whose content ends at byte `at` of the answer.

    What stands between two values is forced once the value is named; so a value's decisions are those in its own
    bytes and in what follows up to the next value.
    """
    names = [*LEVELS[: len(part.path)], "emotion"]
    values = [*part.path, part.emotion]
    leads = [*(before_level(level) for level in range(len(part.path))), EMOTION]
    confidence, path = {}, 0.0
    at += _size(leads[0])
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        end = at + _size(escaped(value)) + (_size(leads[index + 1]) if index + 1 < len(leads) else 1)
        own = sum(logprobs[at:end])
        path += own if name != "emotion" else 0.0
        confidence[name] = min(1.0, math.exp(path if name != "emotion" else own))
        at = end
    return confidence


def _closing_size(part: Part) -> int:
    """Bytes from the end of a part's content to the end of its object."""
    if part.is_residue:
        return 2
    labels = sum(_size(before_level(level)) + _size(escaped(label)) for level, label in enumerate(part.path))
    return labels + _size(EMOTION) + _size(part.emotion) + 2


def _size(text: str) -> int:
    return len(text.encode())
