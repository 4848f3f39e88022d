"""Answers sampled from a model under the automaton, as reinforcement needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transformers import PreTrainedModel

from eval.decoding.decoder import decide, drawn, segments
from eval.scoring.predictions import Prediction
from taxonomy.comments import LabelledComment
from taxonomy.language.automaton import Automaton
from taxonomy.language.chunks import chunks
from taxonomy.language.language import Language


class PromptedComment(NamedTuple):
    """A comment and its gold labels, its prompt, and its chunks, as text and in tokens."""

    gold: LabelledComment
    prompt: list[int]
    chunks: tuple[str, ...]
    chunk_tokens: list[list[int]]


class Sample(NamedTuple):
    """One answer: all of its tokens, and what they mean."""

    tokens: list[int]
    prediction: Prediction


class TracedDecision(NamedTuple):
    """A decision of an answer: which of its tokens it is, and what was allowed there."""

    at: int
    allowed: tuple[int, ...]


def prompted(comment: LabelledComment, language: Language) -> PromptedComment:
    """Raises ValueError for a comment without text."""
    pieces = chunks(comment.comment)
    return PromptedComment(comment, language.prompt.of(pieces), pieces, language.chunk_tokens(pieces))


def sampled(model: PreTrainedModel, comments: Sequence[PromptedComment], automaton: Automaton) -> list[Sample]:
    """An answer to each, every decision drawn from the probabilities of what is allowed there; by torch's seed.

    The model is left in the mode that it was in.
    """
    walks = [automaton.walk(comment.chunk_tokens) for comment in comments]
    was_training = model.training
    model.eval()
    answers = decide(model, [comment.prompt for comment in comments], walks, drawn)
    model.train(was_training)
    return [
        Sample(answer, Prediction(comment.gold.id, tuple(segments(comment.chunks, walk))))
        for answer, comment, walk in zip(answers, comments, walks, strict=True)
    ]


def decisions_of(comment: PromptedComment, answer: Sequence[int], automaton: Automaton) -> Iterator[TracedDecision]:
    """The decisions of an answer, in their order."""
    walk = automaton.walk(comment.chunk_tokens)
    at = len(walk.forced)
    while not walk.is_done:
        yield TracedDecision(at, walk.allowed)
        at += 1 + len(walk.decide(answer[at]))
