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
from taxonomy.prompt import Prompt
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
    comments: Iterable[LabelledComment], automaton: Automaton, prompt: Prompt, loss: Loss = "decisions"
) -> Iterator[Row]:
    """One row a comment. Raises ValueError where a segment does not end on a candidate cut."""
    rivals = Rivals(automaton) if loss == "constrained" else None
    for comment in comments:
        asked = prompt.of(comment.comment)
        pieces = chunks(comment.comment)
        answer = automaton.spelt(pieces, comment.parts)
        walk = automaton.walk(pieces)
        learned: list[int] = []
        told: list[tuple[int, ...]] = []
        for index, token in enumerate(answer):
            is_decision = len(walk.allowed) > 1
            if is_decision or loss == "completion":
                learned.append(len(asked) + index)
            if is_decision and rivals and walk.node:
                told.append(rivals.of(walk.node, pieces[-walk.chunks_left] if walk.may_go_on else ""))
            walk.advance(token)
        yield Row(np.array([*asked, *answer], np.int32), np.array(learned, np.int32), tuple(told))


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
