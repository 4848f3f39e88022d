"""What a decision is trained against is exactly what the service allows there."""

from __future__ import annotations

import numpy as np
import pytest

from serve.engine.masks import Mask, Masks
from serve.routing.pair import Pair
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens
from train.corpus.generator import Corpus, load_phrasebook
from train.data.encode import encode

COMMENTS = list(Corpus(load_phrasebook(), "train").comments(12))


def allowed_by(mask: Mask) -> list[int]:
    return [int(token) for token in np.nonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))[0]]


@pytest.mark.parametrize("number", range(len(COMMENTS)))
def test_each_decision_is_learned_over_the_mask_that_serves(pair: Pair, number: int) -> None:
    comment = COMMENTS[number]
    (row,) = encode([comment], pair.language, "constrained")
    masks = Masks(pair.automaton, pair.tokens.size)
    walk = pair.automaton.walk(chunk_tokens(chunks(comment.comment), pair.tokens))
    for at, allowed in zip(row.learned, row.allowed, strict=True):
        assert allowed.tolist() == allowed_by(masks.of(walk))
        walk.decide(int(row.tokens[at]))
    assert walk.is_done


def test_the_other_losses_compare_with_the_whole_vocabulary(pair: Pair) -> None:
    learned = {
        loss: next(encode(COMMENTS[:1], pair.language, loss)) for loss in ("constrained", "decisions", "completion")
    }
    assert learned["decisions"].allowed == learned["completion"].allowed == ()
    assert learned["decisions"].learned.tolist() == learned["constrained"].learned.tolist()
    assert len(learned["completion"].learned) > len(learned["decisions"].learned)
