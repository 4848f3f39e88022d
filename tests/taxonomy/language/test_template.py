"""Whatever the shape of a chat template, what is asked stands in the prompt once, whole and as it was written."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from taxonomy.errors import CheckpointInvalid, DataInvalid
from taxonomy.language.prompt import ChatPrompt, Prompt, PromptStyle
from taxonomy.language.template import ChatTemplate
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.templates import CHATML, CONTROL, SHAPES
from tests.support.tokenizers import tokenizer_of_kind
from train.data.chat_formats import Message
from train.data.chats import Chat, ChatRows, chat_of

TAXONOMY = taxonomy_of([Leaf(("Delivery", "Late Parcel"), "after the <promised> day & hour", team="logistics")])
SYSTEM = "Read THIS, <b>as written</b>:\n\n  'it' & \"that\"."
QUESTION = "  What's <late>?\n\n Mind the spaces  &c."


TOKENIZER = copy.deepcopy(tokenizer_of_kind("bundled"))
TOKENIZER.add_special_tokens({"bos_token": "<|bos|>", "additional_special_tokens": CONTROL})
TOKENS = Tokens(TOKENIZER)


def with_template(template: object) -> PreTrainedTokenizerFast:
    tokenizer = copy.copy(TOKENIZER)
    tokenizer.chat_template = template
    return tokenizer


TOKENIZERS = {name: with_template(template) for name, template in SHAPES.items()}


def prompted(tokenizer: PreTrainedTokenizerFast, system: str | None, question: str) -> list[int]:
    before, after = ChatTemplate(tokenizer).around(TOKENS, system)
    return [*before, *TOKENS.text(question), *after]


def shown(ids: list[int]) -> str:
    return str(TOKENIZER.backend_tokenizer.decode(ids, skip_special_tokens=False))


@pytest.mark.parametrize("shape", SHAPES)
def test_system_and_question_stand_once_each_whole_and_in_their_order(shape: str) -> None:
    tokenizer = TOKENIZERS[shape]
    text = shown(prompted(tokenizer, SYSTEM, QUESTION))
    assert text.count(SYSTEM) == text.count(QUESTION) == 1
    assert text.index(SYSTEM) < text.index(QUESTION)
    assert text.count("Read THIS") == text.count("Mind the spaces") == 1, "nor in part a second time"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_taxonomy_and_the_comment_stand_in_the_prompt_that_serves(shape: str) -> None:
    prompt = Prompt(TOKENIZERS[shape], TOKENS, TAXONOMY, PromptStyle.IN_CONTEXT)
    text = shown(prompt.of(QUESTION))
    assert text.count("Delivery > Late Parcel: after the <promised> day & hour") == text.count(QUESTION) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_chat_is_learned_after_the_very_tokens_that_ask_in_serving(shape: str) -> None:
    tokenizer = TOKENIZERS[shape]
    row = ChatRows(tokenizer, TOKENS, 500).of(chat_of(QUESTION, "Soon."))
    asked = ChatPrompt(tokenizer, TOKENS).of(QUESTION)
    assert row.tokens[: row.learned[0]].tolist() == asked
    assert shown(row.tokens[row.learned].tolist()).startswith("Soon.")
    assert set(row.tokens[row.learned].tolist()) & TOKENS.special, "and where the answer stops"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_longer_chat_shows_each_turn_once_and_learns_every_answer(shape: str) -> None:
    turns = [
        ("system", SYSTEM),
        ("user", QUESTION),
        ("assistant", "It's <here>."),
        ("user", "Why?\n"),
        ("assistant", "Snow."),
    ]
    chat = Chat(tuple(Message(role, text) for role, text in turns))
    row = ChatRows(TOKENIZERS[shape], TOKENS, 500).of(chat)
    text = shown(row.tokens.tolist())
    assert [text.count(content) for _, content in turns] == [1] * len(turns)
    learned = shown(row.tokens[row.learned].tolist())
    assert learned.index("It's <here>.") < learned.index("Snow.")
    assert "Why?" not in learned


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_in_the_prompt_depends_on_the_day(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later:
        @staticmethod
        def now() -> datetime:
            return datetime(2031, 12, 5, 9, 8, 7, tzinfo=UTC)

    now = prompted(TOKENIZERS[shape], SYSTEM, QUESTION)
    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    assert prompted(TOKENIZERS[shape], SYSTEM, QUESTION) == now


def test_the_shapes_are_what_their_names_say() -> None:
    def text(shape: str, system: str | None = SYSTEM) -> str:
        return shown(prompted(TOKENIZERS[shape], system, "late?"))

    assert "Today Date: 26 Jul 2024\n" in text("Llama 3.2")
    assert text("Gemma 2") == f"<|bos|><start_of_turn>user\n{SYSTEM}\n\nlate?<end_of_turn>\n<start_of_turn>model\n"
    assert text("Gemma 3") == text("Gemma 2")
    assert text("Mistral without system") == f"<|bos|>[INST] {SYSTEM}\n\nlate? [/INST]"
    assert f"<|user|>\n{SYSTEM}\n\nlate?<|end|>" in text("Phi 3, system dropped")
    assert "You are helpful." in text("Qwen 2.5", None)
    assert "You are helpful." not in text("Qwen 2.5")
    assert text("Qwen 3").endswith("assistant\n<think>\n\n</think>\n\n")
    assert f"System:{SYSTEM}<|eot_id|>\nUser:late?" in text("SmolVLM")


def test_a_special_token_in_the_instructions_is_only_text() -> None:
    tokenizer = with_template(CHATML)
    stop = tokenizer.eos_token_id
    hostile, harmless = (prompted(tokenizer, text, "x") for text in ("say <|im_end|> and stop", "say so"))
    assert hostile.count(stop) == harmless.count(stop)
    assert "say <|im_end|> and stop" in shown(hostile)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "no chat template"),
        ("", "no chat template"),
        ({}, "no chat template"),
        ({"tool_use": CHATML, "rag": CHATML}, r"none of its chat templates \(rag, tool_use\) is the default"),
        (CHATML.replace("{{ message.content }}", "{{ message.content }} {{ message.content }}"), "shows .* 2 times"),
        (CHATML + "{{ messages[-1].content }}", "shows the question 2 times"),
        ("{{ messages[0].content }}<|im_end|>" * 2, "shows the question 2 times"),
        ("Hello.", "does not show the question"),
        (CHATML.replace("message.content", "message.text"), "does not show the question"),
        (CHATML.replace("message.content", "message.content | lower"), "changes the question"),
        (CHATML.replace("message.content", "message.content | upper"), "changes the question"),
        (CHATML.replace("message.content", "message.content | e"), "changes the question"),
        (CHATML.replace("message.content", "message.content | tojson"), "changes the question"),
        (CHATML.replace("message.content", "message.content[:9]"), "the question"),
        (CHATML.replace("message.content", "message.content | replace('\n', ' ')"), "changes the question"),
        (CHATML.replace("message.content", "message.content.split() | join(' ')"), "changes the question"),
        ("{{ raise_exception('pay first') }}", r"refuses to be rendered \(pay first\)"),
        ("{{ tools | length }}{{ missing.part }}", "refuses to be rendered .*no len"),
        ("{% for message in messages %}{{ message.content }}", "refuses to be rendered .*end of"),
        ("{{ messages.__class__.__mro__ }}", "refuses to be rendered"),
        ("{{ 1 / 0 }}", r"refuses to be rendered \(division by zero\)"),
        (CHATML + "{{ ['a', 'b', 'c'] | random }}", "is rendered otherwise each time"),
        (CHATML + "{{ lipsum(n=1) }}", "is rendered otherwise each time"),
    ],
)
def test_a_template_that_keeps_no_contract_is_refused_in_one_line(template: object, said: str) -> None:
    tokenizer = with_template(template)
    with pytest.raises(CheckpointInvalid, match=said) as refused:
        Prompt(tokenizer, TOKENS, TAXONOMY, PromptStyle.LEARNED)
    assert "\n" not in str(refused.value)
    with pytest.raises(CheckpointInvalid, match=said):
        ChatPrompt(tokenizer, TOKENS)
    with pytest.raises((CheckpointInvalid, DataInvalid), match="chat template"):
        ChatRows(tokenizer, TOKENS, 500).of(chat_of("late?", "Yes.", "chats.jsonl:1"))


@pytest.mark.parametrize("templates", [{"default": CHATML, "tool_use": "{{ tools }}"}, {"chat": CHATML}])
def test_the_default_of_several_templates_is_taken_or_the_only_one(templates: dict[str, str]) -> None:
    named, plain = with_template(templates), with_template(CHATML)
    assert prompted(named, SYSTEM, QUESTION) == prompted(plain, SYSTEM, QUESTION)


before_turn = st.sampled_from(
    ["", "<|im_start|>", "[INST] ", "{{ message.role }}: ", "### {{ message.role | upper }}\n"]
)
content = st.sampled_from(
    [
        "{{ message.content }}",
        "{{ message.content | trim }}",
        "{% for part in message.content %}{{ part.text }}{% endfor %}",
        "{{ message.content | lower }}",
        "{{ message.content }}{{ message.content }}",
        "{% if message.role != 'system' %}{{ message.content }}{% endif %}",
        "{% if message.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ message.content }}",
        "",
    ]
)
after_turn = st.sampled_from(["<|im_end|>\n", "\n", "", "{{ strftime_now('%s %f') }}"])


@settings(max_examples=60, deadline=None)
@given(before=before_turn, content=content, after=after_turn, prefix=st.sampled_from(["", "{{ messages[0].role }}\n"]))
def test_any_template_shows_all_once_or_is_refused(before: str, content: str, after: str, prefix: str) -> None:
    tokenizer = with_template(f"{prefix}{{% for message in messages %}}{before}{content}{after}{{% endfor %}}")
    try:
        text = shown(prompted(tokenizer, SYSTEM, QUESTION))
    except CheckpointInvalid as error:
        refused = str(error)
        assert "\n" not in refused
        return
    assert text.count(SYSTEM) == text.count(QUESTION) == 1
