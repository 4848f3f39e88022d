"""Comments -> token rows with the positions that are to be learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taxonomy.comments import LabelledComment
from taxonomy.language.chunks import chunks
from taxonomy.language.language import Language
from train.recipe_parts import Loss


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """Prompt and answer; `learned[i]` is the index of a token to be predicted from those before it.

    allowed: of each learned token those that might have stood there, itself among them; empty where that is the whole
    vocabulary.
    """

    tokens: npt.NDArray[np.int32]
    learned: npt.NDArray[np.int32]
    allowed: tuple[npt.NDArray[np.int32], ...] = ()


def encode(comments: Iterable[LabelledComment], language: Language, loss: Loss) -> Iterator[TrainingRow]:
    """One row a comment. Raises ValueError where a segment does not end on a candidate cut."""
    for comment in comments:
        pieces = chunks(comment.comment)
        asked = language.prompt.of(pieces)
        answer = language.answer(pieces, comment.parts)
        at = range(len(answer.tokens)) if loss == "completion" else [d.at for d in answer.decisions]
        # What serving allows at a decision, and nothing else: the loss is of the softmax that the service decides by.
        allowed = tuple(np.array(d.allowed, np.int32) for d in answer.decisions) if loss == "constrained" else ()
        learned = np.array(at, np.int32) + len(asked)
        yield TrainingRow(np.array([*asked, *answer.tokens], np.int32), learned, allowed)
