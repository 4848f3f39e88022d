"""The compiled automaton: the reference grammar's language, in the tokens that training sees."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import llguidance.numpy as masks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer

from taxonomy.bundled import bundled_taxonomy
from taxonomy.labels import EMOTIONS, emotion_named
from taxonomy.language.answer import Part
from taxonomy.language.automaton import Automaton, Walk
from taxonomy.language.chunks import chunks, led_by_space
from taxonomy.language.compiled import cached, chunk_tokens, compiled, tokenized_answer
from taxonomy.language.forms import Form
from taxonomy.language.grammar import grammar, label_rules
from taxonomy.language.own_tokens import give_own_tokens
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of
from tests.support.strategies import answers, comment, taxonomies
from tests.support.tokenizers import KINDS, tokenizer_of_kind
from tests.taxonomy.language.test_grammar import is_answer

every_kind = pytest.mark.parametrize("kind", KINDS)
every_form = pytest.mark.parametrize("form", Form)
SMALL = taxonomy_of(
    [
        *(Leaf(("Delivery", "Late")), Leaf(("Delivery", "Lately", "Courier")), Leaf(("Device", "Late", "Late"))),
        *(
            Leaf(("App",)),
            Leaf(("App store", "Slow to load", "On Wi-Fi")),
            Leaf(("App store", "Slow to load", "On LTE")),
        ),
    ]
)


def tokens_of(kind: str, form: Form, taxonomy: Taxonomy) -> Tokens:
    """Of a tokenizer of this kind, with the tokens that the form asks for."""
    tokenizer = tokenizer_of_kind(kind)
    if form is Form.MARKED:
        tokenizer = copy.deepcopy(tokenizer)
        give_own_tokens(tokenizer, taxonomy)
    return Tokens(tokenizer)


def parts_of(pieces: Sequence[str], walk: Walk) -> list[Part]:
    """What a walk that is done says of the comment."""
    starts = [0, *(closing.chunks for closing in walk.closings)]
    return [
        Part("".join(pieces[start : c.chunks]), tuple(c.named[:-1]), emotion_named((c.named or ["neutral"])[-1]))
        for start, c in zip(starts, walk.closings, strict=False)
    ]


@every_form
@every_kind
@given(data=st.data(), comment=comment, taxonomy=taxonomies())
@settings(max_examples=25, deadline=None)
def test_every_answer_is_walked_and_read_back(
    kind: str, form: Form, data: st.DataObject, comment: str, taxonomy: Taxonomy
) -> None:
    tokens, pieces = tokens_of(kind, form, taxonomy), chunks(comment)
    automaton = compiled(taxonomy, tokens, form)
    parts = data.draw(answers(comment, taxonomy))
    answer = tokenized_answer(pieces, parts, automaton, tokens)
    assert answer.tokens[-1] == tokens.eos
    walk = automaton.walk(chunk_tokens(pieces, tokens, form))
    for decision in answer.decisions:
        assert len(decision.allowed) > 1
        assert decision.allowed == walk.allowed
        walk.decide(answer.tokens[decision.at], -1.0)
    assert parts_of(pieces, walk) == [Part(p.content, p.path, p.emotion if p.path else "neutral") for p in parts]
    assert sum(sum(c.logprobs) for c in walk.closings) == -len(answer.decisions)


@every_form
@every_kind
@given(data=st.data(), comment=comment, taxonomy=taxonomies())
@settings(max_examples=25, deadline=None)
def test_any_walk_spells_an_answer(
    kind: str, form: Form, data: st.DataObject, comment: str, taxonomy: Taxonomy
) -> None:
    tokens, pieces = tokens_of(kind, form, taxonomy), chunks(comment)
    automaton = compiled(taxonomy, tokens, form)
    walk = automaton.walk(chunk_tokens(pieces, tokens, form))
    made = list(walk.forced)
    while not walk.is_done:
        token = data.draw(st.sampled_from(walk.allowed))
        made += [token, *walk.decide(token)]
    parts = parts_of(pieces, walk)
    assert "".join(part.content for part in parts) == comment
    assert all(part.is_residue or part.path in taxonomy for part in parts)
    assert tokenized_answer(pieces, parts, automaton, tokens).tokens == made
    text = tokens.tokenizer.backend_tokenizer.decode(made[:-1], skip_special_tokens=False)
    if form is Form.VERBATIM:
        assert is_answer(text, comment, taxonomy)


def every_answer(comment: str, taxonomy: Taxonomy) -> list[tuple[Part, ...]]:
    """All of them, from the definition: every way to cut, every way to label."""
    pieces = chunks(comment)
    found = []
    for cuts in product([False, True], repeat=len(pieces) - 1):
        contents = [pieces[0]]
        for piece, cut in zip(pieces[1:], cuts, strict=True):
            contents = [*contents, piece] if cut else [*contents[:-1], contents[-1] + piece]
        closings = [None, *product([leaf.path for leaf in taxonomy.leaves], EMOTIONS)]
        found += [
            tuple(Part(c, *how) if how else Part(c) for c, how in zip(contents, chosen, strict=True))
            for chosen in product(closings, repeat=len(contents))
        ]
    return found


@every_form
@every_kind
@pytest.mark.parametrize("comment", ["It is late, ok.", "spät! 😡"])
def test_greedy_is_what_masking_the_reference_grammar_gives(kind: str, form: Form, comment: str) -> None:
    """Among the tokens that the reference allows, those by which some answer goes on as training spells it."""
    tokens = tokens_of(kind, form, SMALL)
    automaton = compiled(SMALL, tokens, form)
    every_tokenized = [
        tokenized_answer(chunks(comment), parts, automaton, tokens).tokens for parts in every_answer(comment, SMALL)
    ]
    tokenizer = from_tokenizer(tokens.tokenizer)
    own = (lambda name: tokens.own(name) or 0) if form is Form.MARKED else None
    stand = led_by_space(chunks(comment)) if own and tokens.space_leads else chunks(comment)
    text = grammar(stand, label_rules(SMALL, own), own).definition
    for seed in range(12):
        scores = np.random.default_rng(seed).permutation(tokenizer.vocab_size)
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(text))
        walk = automaton.walk(chunk_tokens(chunks(comment), tokens, form))
        made = list(walk.forced)
        assert matcher.try_consume_tokens(made) == len(made)
        while not walk.is_done:
            canonical = {s[len(made)] for s in every_tokenized if s[: len(made)] == made}
            assert canonical <= allowed_by(matcher, tokenizer.vocab_size)
            reference = max(canonical, key=lambda token: scores[token])
            assert max(walk.allowed, key=lambda token: scores[token]) == reference
            run = [reference, *walk.decide(reference)]
            made += run
            text_run = run[:-1] if walk.is_done else run  # the reference ends where the text does
            assert matcher.try_consume_tokens(text_run) == len(text_run)
        assert made in every_tokenized
        assert matcher.is_accepting()


def allowed_by(matcher: LLMatcher, vocabulary: int) -> set[int]:
    mask = masks.allocate_token_bitmask(1, vocabulary)
    masks.fill_next_token_bitmask(matcher, mask)
    return set(np.nonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))[0].tolist())


def test_a_token_that_may_not_stand_there_is_refused() -> None:
    tokens = Tokens(tokenizer_of_kind("bundled"))
    walk = compiled(SMALL, tokens).walk(chunk_tokens(chunks("It is late, ok."), tokens))
    wrong = next(token for token in range(400) if token not in walk.allowed)
    with pytest.raises(ValueError, match=f"token {wrong} may not stand here"):
        walk.decide(wrong)


def test_a_comment_without_chunks_has_no_answer() -> None:
    with pytest.raises(ValueError, match="without chunks"):
        compiled(SMALL, Tokens(tokenizer_of_kind("bundled"))).walk([])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([Part("It is "), Part("late, ok.")], "does not end on a candidate cut"),
        ([Part("It is late, ")], "ends before its comment does"),
        ([Part("It is late, ok.", ("Zoo", "Never"), "neutral")], "Zoo > Never > neutral is no path"),
        ([Part("It is late, ok.", ("Device", "Never"), "neutral")], "Device > Never > neutral is no path"),
    ],
)
def test_what_is_no_answer_has_no_tokens(parts: list[Part], said: str) -> None:
    tokens = Tokens(tokenizer_of_kind("bundled"))
    with pytest.raises(ValueError, match=said):
        tokenized_answer(chunks("It is late, ok."), parts, compiled(SMALL, tokens), tokens)


@every_kind
def test_it_is_compiled_once_and_then_read_from_disk(kind: str, tmp_path: Path) -> None:
    tokens = Tokens(tokenizer_of_kind(kind))
    automaton, file = cached(bundled_taxonomy(), tokens, tmp_path / "new")
    written_at = file.stat().st_mtime_ns
    assert cached(bundled_taxonomy(), tokens, tmp_path / "new") == (automaton, file)
    assert file.stat().st_mtime_ns == written_at
    assert automaton == compiled(bundled_taxonomy(), tokens)
    file.write_text("[]")
    assert cached(bundled_taxonomy(), tokens, tmp_path / "new") == (automaton, file)
    assert Automaton.load(file) == automaton
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_another_taxonomy_or_tokenizer_has_another_file(tmp_path: Path) -> None:
    bundled, bytes_ = (Tokens(tokenizer_of_kind(kind)) for kind in ("bundled", "byte-level"))
    files = {cached(t, k, tmp_path)[1] for t in (SMALL, bundled_taxonomy()) for k in (bundled, bytes_)}
    assert len(files) == 4


@every_form
@every_kind
def test_no_closing_is_longer_than_the_longest(kind: str, form: Form) -> None:
    tokens = tokens_of(kind, form, SMALL)
    automaton = compiled(SMALL, tokens, form)
    rng = random.Random(0)
    for _ in range(50):
        walk = automaton.walk(chunk_tokens(["ok", "ok"], tokens, form))
        lengths: list[int] = []
        while not walk.is_done:
            closed = len(walk.closings)
            token = rng.choice(walk.allowed)
            run = walk.decide(token)
            lengths = [1 + len(run)] if len(walk.closings) > closed else [*lengths, 1 + len(run)]
        assert sum(lengths) <= automaton.longest_closing
