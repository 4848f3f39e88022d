"""What a decision is told from in training is exactly what the serving grammar allows there."""

from __future__ import annotations

import llguidance.numpy as masks
import numpy as np
import pytest
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer

from serve.routing.pair import Pair
from taxonomy.language.chunks import chunks
from taxonomy.language.grammar import grammar, label_rules
from train.corpus.generator import Corpus, load_phrasebook
from train.data.encode import encode

COMMENTS = list(Corpus(load_phrasebook(), "train").comments(12))


def allowed_by(matcher: LLMatcher, vocabulary: int) -> set[int]:
    mask = masks.allocate_token_bitmask(1, vocabulary)
    masks.fill_next_token_bitmask(matcher, mask)
    return set(np.nonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))[0].tolist())


@pytest.mark.parametrize("comment", COMMENTS, ids=lambda comment: str(comment.id))
def test_rivals_are_what_the_grammar_allows(pair: Pair, comment: object) -> None:
    (gold,) = [c for c in COMMENTS if c is comment]
    (row,) = encode([gold], pair.automaton, pair.tokens, pair.prompt, "constrained")
    tokenizer = from_tokenizer(pair.tokens.tokenizer)
    text = grammar(chunks(gold.comment), label_rules(pair.taxonomy)).definition
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(text))
    told = dict(zip(row.learned.tolist(), row.rivals, strict=True))
    start = len(pair.prompt.of(gold.comment))
    for index, token in enumerate(row.tokens[start:-1].tolist(), start):
        allowed = allowed_by(matcher, tokenizer.vocab_size)
        if index in told:
            assert set(told[index]) == allowed
        else:
            assert token in allowed
        assert matcher.consume_token(token)


def test_every_decision_has_its_rivals_and_is_among_them(pair: Pair) -> None:
    for row in encode(COMMENTS, pair.automaton, pair.tokens, pair.prompt, "constrained"):
        assert len(row.rivals) == len(row.learned)
        assert all(row.tokens[at] in told for at, told in zip(row.learned, row.rivals, strict=True))
