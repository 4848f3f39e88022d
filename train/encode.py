"""Comments -> token rows with the positions that are to be learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from taxonomy.automaton import Automaton
from taxonomy.chunks import chunks
from taxonomy.comments import LabelledComment
from taxonomy.compiled import spelt
from taxonomy.prompt import Prompt
from taxonomy.tokens import Tokens
from train.rivals import Rivals

Loss = Literal["constrained", "decisions", "completion"]


@dataclass(frozen=True, slots=True)
class Row:
    """Prompt and answer; `learned[i]` is the index of a token to be predicted from those before it.

    rivals: of each learned token those it is to be told from; empty where that is the whole vocabulary.
    """

    tokens: npt.NDArray[np.int32]
    learned: npt.NDArray[np.int32]
    rivals: tuple[tuple[int, ...], ...] = ()


def encode(
    comments: Iterable[LabelledComment],
    automaton: Automaton,
    tokens: Tokens,
    prompt: Prompt,
    loss: Loss = "decisions",
) -> Iterator[Row]:
    """One row a comment. Raises ValueError where a segment does not end on a candidate cut."""
    rivals = Rivals(automaton, tokens) if loss == "constrained" else None
    for comment in comments:
        asked = prompt.of(comment.comment)
        pieces = chunks(comment.comment)
        answer = spelt(pieces, comment.parts, automaton, tokens)
        at = range(len(answer.tokens)) if loss == "completion" else [d.at for d in answer.decisions]
        told = tuple(rivals.of(d, pieces) for d in answer.decisions) if rivals else ()
        learned = np.array(at, np.int32) + len(asked)
        yield Row(np.array([*asked, *answer.tokens], np.int32), learned, told)


def batches(rows: Sequence[Row], size: int, seed: int) -> list[list[int]]:
    """Indices of rows in batches of like length (little padding), in an order that depends on the seed alone."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    pool = size * 64
    made: list[list[int]] = []
    for start in range(0, len(order), pool):
        near = sorted(order[start : start + pool].tolist(), key=lambda i: len(rows[i].tokens))
        made += [near[at : at + size] for at in range(0, len(near), size)]
    return [made[i] for i in rng.permutation(len(made))]
