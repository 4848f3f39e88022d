"""For each branch of an automaton the allowed tokens, as the bits that a sampler takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from taxonomy.language.automaton import ROOT, Automaton, Walk

Mask = npt.NDArray[np.int32]


class Masks:
    """One bit a token in 32-bit words, the lowest first; a branch's mask is made when it is first asked for."""

    def __init__(self, automaton: Automaton, vocabulary: int) -> None:
        self.automaton = automaton
        self._words = -(-vocabulary // 32)
        self._of: dict[int, Mask] = {}

    def of(self, walk: Walk) -> Mask:
        """Where a walk stands (it is not done); not to be written to."""
        mask = self._of.get(walk.branch)
        if mask is None:
            # Below the root nothing of the taxonomy is allowed: a number of the comment's is under way.
            tokens = self.automaton.branches[walk.branch] if walk.branch >= ROOT else ()
            mask = self._of[walk.branch] = self._made(tokens)
        onward = walk.onward
        return mask | self._made(onward) if onward else mask

    def _made(self, tokens: Iterable[int]) -> Mask:
        mask = np.zeros(self._words, np.uint32)
        for token in tokens:
            mask[token // 32] |= np.uint32(1 << token % 32)
        return mask.view(np.int32)
