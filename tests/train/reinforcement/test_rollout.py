"""Answers sampled under the automaton, and what they are worth."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.scoring.scores import score
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.bundled import bundled_taxonomy
from taxonomy.comments import LabelledComment, labelled
from taxonomy.language.answer import read
from taxonomy.language.language import language_of
from train.corpus.generator import Corpus, load_phrasebook
from train.reinforcement.reward import reward
from train.reinforcement.rollout import PromptedComment, decisions_of, prompted, sampled

TAXONOMY = bundled_taxonomy()
TOKENIZER = AutoTokenizer.from_pretrained(BUNDLED_CHECKPOINT)
LANGUAGE = language_of(TOKENIZER, TAXONOMY)
AUTOMATON = LANGUAGE.automaton
COMMENTS = list(Corpus(load_phrasebook(), "train").comments(6))


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(BUNDLED_CHECKPOINT, dtype=torch.float32)


@pytest.fixture(scope="module")
def asked() -> list[PromptedComment]:
    return [prompted(comment, LANGUAGE) for comment in COMMENTS]


def test_every_sampled_answer_is_one_of_the_language(model: Any, asked: list[PromptedComment]) -> None:
    torch.manual_seed(0)
    for one, sample in zip(asked, sampled(model, asked, AUTOMATON), strict=True):
        parts = read(TOKENIZER.decode(sample.tokens, skip_special_tokens=True))
        written = labelled(one.gold.id, parts)
        assert written.comment == one.gold.comment
        said = [(s.start, s.end, s.path, s.emotion) for s in sample.prediction.segments]
        assert said == [(s.start, s.end, s.path, s.emotion) for s in written.segments]
        assert sample.tokens[-1] == LANGUAGE.tokens.eos
        traced = list(decisions_of(one, sample.tokens, AUTOMATON))
        assert all(sample.tokens[at] in allowed and len(allowed) > 1 for at, allowed in traced)


def test_a_row_is_answered_as_it_would_be_alone(model: Any, asked: list[PromptedComment]) -> None:
    """Padding and neighbours change nothing: at a temperature near zero the answers are the same."""
    sharp = _sharpened(model)
    together = sampled(sharp, asked, AUTOMATON)
    alone = [sampled(sharp, [one], AUTOMATON)[0] for one in asked]
    assert [sample.tokens for sample in together] == [sample.tokens for sample in alone]


def test_draws_follow_the_seed(model: Any, asked: list[PromptedComment]) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append([sample.tokens for sample in sampled(model, asked, AUTOMATON)])
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_reward_is_the_hierarchical_f1_of_eval(model: Any, asked: list[PromptedComment]) -> None:
    torch.manual_seed(0)
    for sample, gold in zip(sampled(model, asked, AUTOMATON), COMMENTS, strict=True):
        assert reward(gold, sample.prediction) == score([gold], [sample.prediction]).hierarchical.f1
        assert reward(gold, gold) == 1


def test_silence_is_worth_all_where_there_is_nothing_to_say_and_nothing_elsewhere() -> None:
    empty = LabelledComment("a", "Good morning.", ())
    assert reward(empty, empty) == 1
    assert reward(COMMENTS[0], replace(COMMENTS[0], segments=())) == 0


def _sharpened(model: Any) -> Any:
    """The same model with logits so far apart that the likeliest token is always drawn."""
    sharp = copy.deepcopy(model)
    with torch.no_grad():
        sharp.model.norm.weight *= 1e4
    return sharp
