"""What the engine decided -> segments with spans, labels, probabilities and a team."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from serve.engine.protocol import Alternative, Decoded, Task
from serve.routing.pair import Pair
from taxonomy.errors import AnswerInvalid
from taxonomy.labels import LEVELS, TEAM, emotion_named
from taxonomy.language.answer import Part
from taxonomy.language.automaton import Closing, Walk
from taxonomy.language.posterior import Decided, PathShare
from taxonomy.tree import Leaf

MOST_PATHS: Final = 5
"""Other paths that an answer names of a segment."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A segment and where its work goes. `confidence` has one probability a level, one of the emotion, one of the team.

    A level's probability is that of the whole path down to it: the product of its decisions and of those above it. The
    team's is that of all paths that it has. alternatives: other paths, the likeliest first, MOST_PATHS at most. All are
    calibrated where the checkpoint is.
    """

    part: Part
    start: int
    end: int
    leaf: Leaf
    confidence: dict[str, float]
    needs_review: bool
    alternatives: tuple[PathShare, ...] = ()


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
    decided: list[list[Decided]] = [[]]
    alternatives = decoded.alternatives or [()] * len(decoded.tokens)
    try:
        for token, logprob, others in zip(decoded.tokens, decoded.logprobs, alternatives, strict=True):
            decided[-1].append(Decided(walk.branch, token, {token: logprob, **dict(others)}))
            forced += len(walk.decide(token, _where_cut(walk, token, logprob, others)))
            if len(walk.closings) == len(decided):
                decided.append([])
    except ValueError as error:
        raise AnswerInvalid(f"the engine's answer is not in the language of answers: {error}") from error
    if not walk.is_done:
        raise AnswerInvalid("the engine's answer ends before its comment does")
    cuts = list(_cuts(task, walk, decided))
    segments = tuple(_routed(cut, pair) for cut in cuts if cut.is_segment)
    residue = tuple(
        _residue(list(run), pair) for is_segment, run in groupby(cuts, attrgetter("is_segment")) if not is_segment
    )
    return Answer(segments, residue, len(decoded.tokens), forced, engine_s)


def _where_cut(walk: Walk, token: int, logprob: float, others: Sequence[Alternative]) -> float:
    """A decision's log-probability without what it says of where the segment ends.

    Where the segment may end or go on, that it ends as residue competes with two others: that it ends as a segment,
    and that it goes on, which says nothing of feedback. Only the first counts against it: P(residue) / (P(residue) +
    P(segment)). Where that one is not among those told of, all that it may have counts against it, so that the
    probability is rather too small.
    """
    onward = walk.onward
    if token in onward:
        return 0.0
    chosen = math.exp(logprob)
    if not onward or not others or not chosen:
        return logprob
    told = [math.exp(other.logprob) for other in others]
    closing = [math.exp(other.logprob) for other in others if other.token not in onward]
    rival = sum(closing) if closing else min(told[-1], max(0.0, 1 - chosen - sum(told)))
    return -math.log1p(rival / chosen)


class _Cut(NamedTuple):
    """A piece of the comment, how the model closed it, and the decisions that did."""

    content: str
    start: int
    closing: Closing
    decided: Sequence[Decided]

    @property
    def end(self) -> int:
        return self.start + len(self.content)

    @property
    def is_segment(self) -> bool:
        return bool(self.closing.named)


def _cuts(task: Task, walk: Walk, decided: Sequence[Sequence[Decided]]) -> Iterator[_Cut]:
    first = start = 0
    for closing, own in zip(walk.closings, decided, strict=False):
        cut = _Cut("".join(task.chunks[first : closing.chunks]), start, closing, own)
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
    posterior = pair.leaves_below.posterior(cut.decided, leaf)
    confidence = _confidence(cut.closing) | {TEAM: min(1.0, posterior.teams[leaf.team])}
    others = posterior.others[:MOST_PATHS]
    if found := pair.calibration:
        confidence = found.applied(confidence)
        scaled = [other._replace(probability=found.of_path(other.path, other.probability)) for other in others]
        others = tuple(sorted(scaled, key=attrgetter("probability"), reverse=True))
    part = Part(cut.content, leaf.path, emotion_named(emotion))
    return Routed(part, cut.start, cut.end, leaf, confidence, pair.needs_review(confidence), others)


def _confidence(closing: Closing) -> dict[str, float]:
    _, *labels, emotion = closing.logprobs
    down = [sum(labels[: level + 1]) for level in range(len(labels))]
    names = [*LEVELS[: len(labels)], "emotion"]
    # Rounding in the engine may put a sure decision a hair above 1.
    return {name: min(1.0, math.exp(logprob)) for name, logprob in zip(names, [*down, emotion], strict=True)}
