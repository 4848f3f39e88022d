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
from taxonomy.language.compiled import chunk_tokens
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens


class Asked(NamedTuple):
    """A comment as it is asked: the prompt, and its chunks, as text and in tokens. Its gold labels stand by."""

    gold: LabelledComment
    prompt: list[int]
    chunks: tuple[str, ...]
    spelt: list[list[int]]


class Sample(NamedTuple):
    """One answer: all of its tokens, and what it says."""

    tokens: list[int]
    said: Prediction


def asked_of(comment: LabelledComment, tokens: Tokens, prompt: Prompt) -> Asked:
    """Raises ValueError for a comment without text."""
    pieces = chunks(comment.comment)
    return Asked(comment, prompt.of(comment.comment), pieces, chunk_tokens(pieces, tokens))


def sampled(model: PreTrainedModel, asked: Sequence[Asked], automaton: Automaton) -> list[Sample]:
    """An answer to each, every decision drawn from the probabilities of what is allowed there; by torch's seed.

    The model is left in the mode that it was in.
    """
    walks = [automaton.walk(one.spelt) for one in asked]
    was_training = model.training
    model.eval()
    answers = decide(model, [one.prompt for one in asked], walks, drawn)
    model.train(was_training)
    return [
        Sample(answer, Prediction(one.gold.id, tuple(segments(one.chunks, walk))))
        for answer, one, walk in zip(answers, asked, walks, strict=True)
    ]


def decided(asked: Asked, answer: Sequence[int], automaton: Automaton) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each decision of an answer: which of its tokens it is, and what was allowed there."""
    walk = automaton.walk(asked.spelt)
    at = len(walk.forced)
    while not walk.is_done:
        yield at, walk.allowed
        at += 1 + len(walk.decide(answer[at]))
