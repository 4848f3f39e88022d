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

Loss = Literal["decisions", "completion"]


@dataclass(frozen=True, slots=True)
class Row:
    """Prompt and answer; `learned[i]` is the index of a token to be predicted from those before it."""

    tokens: npt.NDArray[np.int32]
    learned: npt.NDArray[np.int32]


def encode(
    comments: Iterable[LabelledComment], automaton: Automaton, prompt: Prompt, loss: Loss = "decisions"
) -> Iterator[Row]:
    """One row a comment. Raises ValueError where a segment does not end on a candidate cut."""
    for comment in comments:
        asked = prompt.of(comment.comment)
        steps = automaton.steps(chunks(comment.comment), comment.parts)
        tokens = [*asked, *(step.token for step in steps)]
        learned = [len(asked) + i for i, step in enumerate(steps) if loss == "completion" or step.is_decision]
        yield Row(np.array(tokens, np.int32), np.array(learned, np.int32))


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
