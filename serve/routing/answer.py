"""What the engine decided -> segments with spans, labels, probabilities and a team."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from serve.engine.protocol import Decoded, Task
from serve.routing.pair import Pair
from taxonomy.errors import AnswerInvalid
from taxonomy.labels import LEVELS, emotion_named
from taxonomy.language.answer import Part
from taxonomy.language.automaton import Closing
from taxonomy.tree import Leaf


@dataclass(frozen=True, slots=True)
class Routed:
    """A segment and where its work goes. `confidence` has one probability a level and one of the emotion.

    A level's probability is that of the whole path down to it: the product of its decisions and of those above it,
    calibrated where the checkpoint is.
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
    """Segments and residue, each by start; laid end to end they are the comment.

    decided, forced: how many tokens of it the model chose, and how many the constraint gave. engine_s: seconds that
    the engine took.
    """

    segments: tuple[Routed, ...]
    residue: tuple[Residue, ...]
    decided: int
    forced: int
    engine_s: float = field(default=0.0, compare=False)

    @property
    def needs_review(self) -> bool:
        return any(segment.needs_review for segment in self.segments)


def answer_of(task: Task, decoded: Decoded, pair: Pair, engine_s: float = 0.0) -> Answer:
    """Read what was decided. Raises AnswerInvalid where it makes no answer to the comment (a violation)."""
    walk = pair.automaton.walk(task.chunk_tokens)
    forced = len(walk.forced)
    try:
        for token, logprob in zip(decoded.tokens, decoded.logprobs, strict=True):
            forced += len(walk.decide(token, logprob))
    except ValueError as error:
        raise AnswerInvalid(f"the engine's answer is not in the language of answers: {error}") from error
    if not walk.is_done:
        raise AnswerInvalid("the engine's answer ends before its comment does")
    segments: list[Routed] = []
    residue: list[Residue] = []
    first = start = 0
    for closing in walk.closings:
        content = "".join(task.chunks[first : closing.chunks])
        end = start + len(content)
        if closing.named:
            segments.append(_routed(content, start, end, closing, pair))
        elif residue and residue[-1].end == start:
            residue[-1] = Residue(residue[-1].content + content, residue[-1].start, end)
        else:
            residue.append(Residue(content, start, end))
        first, start = closing.chunks, end
    return Answer(tuple(segments), tuple(residue), len(decoded.tokens), forced, engine_s)


def _routed(content: str, start: int, end: int, closing: Closing, pair: Pair) -> Routed:
    *path, emotion = closing.named
    leaf = pair.taxonomy.leaf(tuple(path))
    confidence = _confidence(closing)
    if pair.calibration:
        confidence = pair.calibration.applied(confidence)
    unsure = min(confidence.values()) < pair.review_below
    return Routed(Part(content, leaf.path, emotion_named(emotion)), start, end, leaf, confidence, unsure)


def _confidence(closing: Closing) -> dict[str, float]:
    _, *labels, emotion = closing.logprobs
    down = [sum(labels[: level + 1]) for level in range(len(labels))]
    names = [*LEVELS[: len(labels)], "emotion"]
    # Rounding in the engine may put a sure decision a hair above 1.
    return {name: min(1.0, math.exp(logprob)) for name, logprob in zip(names, [*down, emotion], strict=True)}
