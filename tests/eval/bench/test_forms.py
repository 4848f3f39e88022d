"""What an answer costs in each form is counted on the checkpoints themselves, and the larger models decide alike."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from eval.bench.forms import form_tokens
from eval.bench.models import widened_checkpoint
from serve.routing.pair import Pair
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.language.chunks import chunks
from taxonomy.language.forms import Form
from taxonomy.language.language import language_of
from taxonomy.language.own_tokens import give_own_tokens
from train.corpus.generator import Corpus, load_phrasebook

COMMENTS = list(Corpus(load_phrasebook(), "test").comments(20))


def in_form(pair: Pair, form: Form) -> Pair:
    tokenizer: Any = copy.deepcopy(pair.tokens.tokenizer)
    give_own_tokens(tokenizer, pair.taxonomy)
    language = language_of(tokenizer, pair.taxonomy, form)
    return replace(
        pair, tokens=language.tokens, prompt=language.prompt, model=replace(pair.model, automaton=language.automaton)
    )


@pytest.mark.parametrize("form", list(Form))
def test_what_is_computed_is_all_before_the_last_decision(pair: Pair, form: Form) -> None:
    own = in_form(pair, form)
    (comment,) = COMMENTS[:1]
    pieces = chunks(comment.comment)
    counted = form_tokens(own, [comment])
    answer = own.language.answer(pieces, comment.parts)
    assert counted.prompt == len(own.prompt.of(pieces))
    assert counted.answer == len(answer.tokens)
    assert counted.computed == counted.prompt + answer.decisions[-1].at < counted.prompt + counted.answer


def test_marks_cost_fewer_tokens_than_copies(pair: Pair) -> None:
    verbatim, marked = (form_tokens(in_form(pair, form), COMMENTS) for form in (Form.VERBATIM, Form.MARKED))
    assert marked.computed < 0.5 * verbatim.computed


def test_a_widened_model_decides_as_the_small_one(tmp_path: Path) -> None:
    widened_checkpoint(BUNDLED_CHECKPOINT, tmp_path / "wide", layers=6, hidden=512)
    small, wide = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for folder in (BUNDLED_CHECKPOINT, tmp_path / "wide")
    )
    assert wide.num_parameters() > 2 * small.num_parameters()
    tokens = torch.randint(10, 3000, (2, 40), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(small(tokens).logits, wide(tokens).logits, atol=2e-3)
