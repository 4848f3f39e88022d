"""Where a user begins and a turn ends, in every shape of chat template."""

from __future__ import annotations

import copy

import pytest
from transformers import PreTrainedTokenizerFast

from taxonomy.errors import CheckpointInvalid
from taxonomy.language.tokens import Tokens
from tests.support.templates import CHATML, CONTROL, SHAPES
from tests.support.tokenizers import tokenizer_of_kind
from train.data.chat_formats import Message
from train.data.chats import Chat, ChatRows
from train.replay.turns import Turns

TOKENIZER = copy.deepcopy(tokenizer_of_kind("bundled"))
TOKENIZER.add_special_tokens({"bos_token": "<|bos|>", "additional_special_tokens": CONTROL})
TOKENS = Tokens(TOKENIZER)
QUESTION = Message("user", "Why is it <late>?")
ANSWER = Message("assistant", "Snow on the road.")
AGAIN = Message("user", "And tomorrow?")


def with_template(template: str) -> PreTrainedTokenizerFast:
    tokenizer = copy.copy(TOKENIZER)
    tokenizer.chat_template = template
    return tokenizer


def shown(ids: list[int]) -> str:
    return str(TOKENIZER.backend_tokenizer.decode(ids, skip_special_tokens=False))


def row_of(tokenizer: PreTrainedTokenizerFast, *messages: Message) -> tuple[list[int], list[int]]:
    row = ChatRows(tokenizer, TOKENS, 500).of(Chat(messages))
    return row.tokens.tolist(), row.learned.tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_asked_is_what_training_reads_before_the_answer(shape: str) -> None:
    tokenizer = with_template(SHAPES[shape])
    turns = Turns(tokenizer)
    for given in ([QUESTION], [Message("system", "Be brief."), QUESTION], [QUESTION, ANSWER, AGAIN]):
        tokens, learned = row_of(tokenizer, *given, ANSWER)
        last = next(at for at in reversed(learned) if at - 1 not in learned)
        assert list(turns.asked(given)) == tokens[:last]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_user_begins_where_the_question_stands_and_ends_with_what_follows_it(shape: str) -> None:
    tokenizer = with_template(SHAPES[shape])
    turns = Turns(tokenizer)
    asked, question = turns.asked([QUESTION]), TOKENS.text(QUESTION.content)
    begin = len(turns.opening)
    assert asked[:begin] == turns.opening
    assert list(asked[begin : begin + len(question)]) == question
    following = list(asked[begin + len(question) :])
    if turns.user_end.token is None:
        assert turns.user_end.text
        assert shown(following).strip().startswith(turns.user_end.text)
    else:
        first = next(token for token in following if TOKENIZER.decode([token]).strip())
        assert turns.user_end.is_met(first)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_ends_with_the_token_that_training_learns_last(shape: str) -> None:
    tokenizer = with_template(SHAPES[shape])
    tokens, learned = row_of(tokenizer, QUESTION, ANSWER)
    assert Turns(tokenizer).answer_end.is_met(tokens[learned[-1]])


def test_the_ends_of_some_shapes_by_name() -> None:
    def ends(shape: str) -> tuple[str | None, str | None]:
        end = Turns(with_template(SHAPES[shape])).user_end
        return None if end.token is None else str(TOKENIZER.convert_ids_to_tokens(end.token)), end.text

    assert ends("SmolLM2") == ("<|im_end|>", None)
    assert ends("Llama 3") == ("<|eot_id|>", None)
    assert ends("DeepSeek R1") == ("<｜Assistant｜>", None)
    assert ends("Mistral without system") == (None, "[/INST]")
    assert shown(list(Turns(with_template(SHAPES["Qwen 2.5"])).opening)).endswith("<|im_start|>user\n")
    assert "You are helpful." in shown(list(Turns(with_template(SHAPES["Qwen 2.5"])).opening))


def test_another_control_token_is_no_end() -> None:
    end = Turns(with_template(CHATML)).user_end
    assert not end.is_met(TOKENIZER.convert_tokens_to_ids("<|eot_id|>"))
    assert not end.is_met(None)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}", "nothing before a user's words"),
        (
            "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}{{ '<|end|>' if add_generation_prompt }}",
            "the assistant's turn with no special token",
        ),
        (
            "{% for m in messages %}<|user|>{{ m.content }}{{ '<|end|>' if m.role == 'assistant' }}{% endfor %}",
            "nothing after a user's words",
        ),
    ],
)
def test_a_template_that_marks_no_turns_is_refused_in_one_line(template: str, said: str) -> None:
    with pytest.raises(CheckpointInvalid, match=said) as error:
        Turns(with_template(template))
    assert "\n" not in str(error.value)


def test_questions_that_the_template_has_no_place_for_are_refused() -> None:
    turns = Turns(with_template("{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}" + CHATML))
    assert turns.length([QUESTION]) == len(turns.asked([QUESTION]))
    with pytest.raises(CheckpointInvalid, match="one turn"):
        turns.length([QUESTION, AGAIN])
