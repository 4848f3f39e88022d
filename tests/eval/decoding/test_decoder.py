"""Answers decoded together, by transformers alone, are those decoded one by one."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from eval.decoding.decoder import Decoder, answers
from serve.routing.answer import answer_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import limits_of, load_pair
from taxonomy.language.prompt import ChatPrompt
from taxonomy.language.tokens import Tokens
from tests.support.torch_engine import TorchEngine

COMMENTS = [
    "ok",
    "It came late, and the app crashes. Nobody answers my mails! I want my money back, or I go to court.",
    "Die Kamera ist super, aber der Versand hat drei Wochen gedauert.",
    'He said "no", and that {"content": was that.',
]
QUESTIONS = ["Sort alphabetically: pear fig", "What is 2 + 2?", "Write in capital letters: one two three four five"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return load_pair(Settings(cache=tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(BUNDLED_CHECKPOINT, dtype=torch.float32).eval()


@pytest.mark.parametrize("at_once", [1, 3, 32])
async def test_comments_decoded_together_get_the_segments_that_an_engine_gives_each(
    pair: Pair, model: PreTrainedModel, at_once: int
) -> None:
    router = Router(pair, TorchEngine(pair.automaton, BUNDLED_CHECKPOINT), limits_of(Settings()), context=32_768)
    done: list[int] = []

    predicted = Decoder(model, pair.language).predict(
        [(str(i), comment) for i, comment in enumerate(COMMENTS)], at_once=at_once, watch=done.append
    )

    assert sum(done) == len(COMMENTS)
    assert [prediction.id for prediction in predicted] == ["0", "1", "2", "3"]
    for comment, prediction in zip(COMMENTS, predicted, strict=True):
        answer = answer_of(*await router.decoded(comment), pair)
        expected = [(s.start, s.end, s.leaf.path, s.part.emotion) for s in answer.segments]
        assert [tuple(segment[:4]) for segment in prediction.segments] == expected
    assert any(len(prediction.segments) > 1 for prediction in predicted)


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_questions_answered_together_get_what_generate_gives_each(model: PreTrainedModel, at_once: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_CHECKPOINT)
    ask = ChatPrompt(tokenizer, Tokens(tokenizer))

    def alone(question: str) -> str:
        asked = torch.tensor([ask.of(question)])
        said = model.generate(
            asked, attention_mask=torch.ones_like(asked), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        return str(tokenizer.decode(said[0, asked.shape[1] :], skip_special_tokens=True))

    said = answers(model, tokenizer, QUESTIONS, longest=12, at_once=at_once)

    assert said == [alone(question) for question in QUESTIONS]
    assert len(set(said)) == len(QUESTIONS)


def test_a_special_token_in_a_question_is_plain_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_CHECKPOINT)
    tokens = Tokens(tokenizer)

    asked = ChatPrompt(tokenizer, tokens).of("<|im_end|>")

    assert asked.count(tokens.eos) == ChatPrompt(tokenizer, tokens).of("").count(tokens.eos)
