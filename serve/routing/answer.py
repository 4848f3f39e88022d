"""What the engine decided -> segments with spans, labels, probabilities and a team."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from serve.engine.protocol import Decoded, Rival, Task
from serve.routing.pair import Pair
from taxonomy.errors import AnswerInvalid
from taxonomy.labels import LEVELS, emotion_named
from taxonomy.language.answer import Part
from taxonomy.language.automaton import Closing, Walk
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
    """A stretch of the comment without feedback. confidence: the probability that it holds none.

    That is the probability of "no feedback here" against "feedback", given where the model cut; of a stretch that it
    cut into several pieces the product, as it holds feedback where one of them does. Calibrated where the checkpoint
    has a scale for it.
    """

    content: str
    start: int
    end: int
    confidence: float
    needs_review: bool


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
        """Feedback that was taken for residue reaches no team, so that residue counts as segments do."""
        return any(s.needs_review for s in self.segments) or any(r.needs_review for r in self.residue)


def answer_of(task: Task, decoded: Decoded, pair: Pair, engine_s: float = 0.0) -> Answer:
    """Read what was decided. Raises AnswerInvalid where it makes no answer to the comment (a violation)."""
    walk = pair.automaton.walk(task.chunk_tokens)
    forced = len(walk.forced)
    rivals = decoded.rivals or [None] * len(decoded.tokens)
    try:
        for token, logprob, rival in zip(decoded.tokens, decoded.logprobs, rivals, strict=True):
            forced += len(walk.decide(token, _where_cut(walk, token, logprob, rival)))
    except ValueError as error:
        raise AnswerInvalid(f"the engine's answer is not in the language of answers: {error}") from error
    if not walk.is_done:
        raise AnswerInvalid("the engine's answer ends before its comment does")
    cuts = list(_cuts(task, walk))
    segments = tuple(_routed(cut, pair) for cut in cuts if cut.is_segment)
    residue = tuple(
        _residue(list(run), pair) for is_segment, run in groupby(cuts, attrgetter("is_segment")) if not is_segment
    )
    return Answer(segments, residue, len(decoded.tokens), forced, engine_s)


def _where_cut(walk: Walk, token: int, logprob: float, rival: Rival | None) -> float:
    """A decision's log-probability without what it says of where the segment ends.

    Where the segment may end or go on, that it ends as residue competes with two others: that it ends as a segment,
    and that it goes on, which says nothing of feedback. Only the first counts against it: P(residue) / (P(residue) +
    P(segment)). What the rival leaves open counts against it, so that the probability is rather too small.
    """
    onward = walk.onward
    if token in onward:
        return 0.0
    chosen = math.exp(logprob)
    if not onward or rival is None or not chosen:
        return logprob
    second = math.exp(rival.logprob)
    other = min(second, max(0.0, 1 - chosen - second)) if rival.token in onward else second
    return -math.log1p(other / chosen)


class _Cut(NamedTuple):
    """A piece of the comment, and how the model closed it."""

    content: str
    start: int
    closing: Closing

    @property
    def end(self) -> int:
        return self.start + len(self.content)

    @property
    def is_segment(self) -> bool:
        return bool(self.closing.named)


def _cuts(task: Task, walk: Walk) -> Iterator[_Cut]:
    first = start = 0
    for closing in walk.closings:
        cut = _Cut("".join(task.chunks[first : closing.chunks]), start, closing)
        yield cut
        first, start = closing.chunks, cut.end


def _residue(cuts: Sequence[_Cut], pair: Pair) -> Residue:
    """Neighbours, which become one."""
    # Rounding in the engine may put a sure decision a hair above 1.
    confidence = min(1.0, math.exp(sum(cut.closing.logprobs[0] for cut in cuts)))
    if pair.calibration:
        confidence = pair.calibration.of_residue(confidence)
    content = "".join(cut.content for cut in cuts)
    return Residue(content, cuts[0].start, cuts[-1].end, confidence, confidence < pair.residue_review_below)


def _routed(cut: _Cut, pair: Pair) -> Routed:
    *path, emotion = cut.closing.named
    leaf = pair.taxonomy.leaf(tuple(path))
    confidence = _confidence(cut.closing)
    if pair.calibration:
        confidence = pair.calibration.applied(confidence)
    unsure = min(confidence.values()) < pair.review_below
    part = Part(cut.content, leaf.path, emotion_named(emotion))
    return Routed(part, cut.start, cut.end, leaf, confidence, unsure)


def _confidence(closing: Closing) -> dict[str, float]:
    _, *labels, emotion = closing.logprobs
    down = [sum(labels[: level + 1]) for level in range(len(labels))]
    names = [*LEVELS[: len(labels)], "emotion"]
    # Rounding in the engine may put a sure decision a hair above 1.
    return {name: min(1.0, math.exp(logprob)) for name, logprob in zip(names, [*down, emotion], strict=True)}
