"""Masks hold the allowed tokens and no other."""

from __future__ import annotations

import random

import numpy as np

from serve.engine.masks import Masks
from serve.routing.pair import Pair
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens

COMMENT = "It came late, the app crashes. Sonst alles gut!"


def test_a_mask_holds_the_allowed_tokens_and_no_other(pair: Pair) -> None:
    vocabulary = pair.tokens.tokenizer.backend_tokenizer.get_vocab_size() | 1  # no multiple of 32, as real ones
    masks = Masks(pair.automaton, vocabulary)
    rng = random.Random(0)
    for _ in range(20):
        walk = pair.automaton.walk(chunk_tokens(chunks(COMMENT), pair.tokens))
        while not walk.is_done:
            bits = np.unpackbits(masks.of(walk).view(np.uint8), bitorder="little")
            assert len(bits) >= vocabulary
            assert tuple(np.nonzero(bits)[0]) == walk.allowed
            walk.decide(rng.choice(walk.allowed))
