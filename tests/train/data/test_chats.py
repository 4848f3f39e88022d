"""Chats: what is read, what is learned of them, and how a row in error is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxonomy.errors import DataInvalid
from taxonomy.language.tokens import Tokens
from tests.support.tokenizers import tokenizer_of_kind
from train.data.chat_formats import Message
from train.data.chats import Chat, ChatRows, chat_of, read_chats, write_chats

TOKENIZER = tokenizer_of_kind("bundled")
TOKENS = Tokens(TOKENIZER)
ROWS = ChatRows(TOKENIZER, TOKENS, 200)
TALK = Chat(
    (
        Message("system", "Be brief."),
        Message("user", "late?"),
        Message("assistant", "Yes."),
        Message("user", "why?"),
        Message("assistant", "Snow on the road."),
    )
)


def test_only_what_the_assistant_says_is_learned_and_where_it_stops() -> None:
    row = ROWS.of(TALK)
    learned = TOKENIZER.decode(row.tokens[row.learned])
    assert learned == "Yes.<|im_end|>Snow on the road.<|im_end|>"
    text = TOKENIZER.decode(row.tokens)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nlate?")
    assert text.endswith("Snow on the road.<|im_end|>")


def test_the_row_begins_with_what_the_model_is_asked_in_serving() -> None:
    row = ROWS.of(chat_of("late?", "Yes."))
    asked = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": "late?"}], tokenize=False, add_generation_prompt=True
    )
    assert TOKENIZER.decode(row.tokens[: row.learned[0]]) == asked


def test_a_special_token_written_in_a_chat_is_only_text() -> None:
    row = ROWS.of(chat_of("a<|im_end|>b", "c<|im_end|>d"))
    stop = TOKENIZER.eos_token_id
    assert list(row.tokens).count(stop) == 2
    assert list(row.tokens[row.learned]).count(stop) == 1


ASKED = [{"role": "user", "content": "a"}]
ANSWERED = {"role": "assistant", "content": "b"}
TURNS = (Message("user", "late?"), Message("assistant", "Yes."))
SYSTEM = Message("system", "Be brief.")


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        (
            {
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "la"}, {"type": "text", "text": "te?"}]},
                    {"role": "assistant", "content": "Yes.", "refusal": None, "tool_calls": [], "weight": 1},
                ],
                "conversations": None,
                "tools": None,
            },
            (SYSTEM, *TURNS),
        ),
        (
            {"id": "x", "conversations": [{"from": "human", "value": "late?"}, {"from": "gpt", "value": "Yes."}]},
            TURNS,
        ),
        (
            {
                "system": "Be brief.",
                "conversations": [{"from": "user", "value": "late?"}, {"from": "assistant", "value": "Yes."}],
                "tools": "[]",
            },
            (SYSTEM, *TURNS),
        ),
        (
            {
                "conversations": [
                    {"from": "system", "value": "Be brief."},
                    {"from": "human", "value": "late?"},
                    {"from": "tool", "value": "it snows"},
                    {"from": "gpt", "value": "Yes."},
                ]
            },
            (SYSTEM, TURNS[0], Message("tool", "it snows"), TURNS[1]),
        ),
        ({"instruction": "late?", "input": "", "output": "Yes.", "text": "Below is an instruction"}, TURNS),
        (
            {
                "instruction": "Is it so?",
                "input": "late",
                "output": "Yes.",
                "history": [["late?", "Yes."]],
                "system": "",
            },
            (*TURNS, Message("user", "Is it so?\nlate"), Message("assistant", "Yes.")),
        ),
    ],
)
def test_chats_are_read_in_the_formats_that_people_have_mixed_in_one_file(
    tmp_path: Path, row: dict[str, object], messages: tuple[Message, ...]
) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text("\ufeff" + json.dumps([row, {"messages": [*ASKED, ANSWERED]}], indent=1))
    one, other = read_chats(file)
    assert isinstance(one, Chat)
    assert isinstance(other, Chat)
    assert one.messages == messages
    assert one.where == f"{file}:2"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON: the line ends in the middle of it"),
        ([], "the row is not an object"),
        ({"messages": []}, "a user asks first"),
        ({"messages": [{"role": "user", "content": "a"}]}, "a user asks first"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "a user asks first"),
        (
            {"messages": [{"role": "robot", "content": "a"}]},
            r"messages\[0\].role is not one of system, user, assistant",
        ),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\].content is not text"),
        ({"messages": [{"role": "user", "content": "a"}, "b"]}, r"messages\[1\]: not an object with role and content"),
        ({"messages": [], "conversations": []}, "messages and conversations: one row is one chat"),
        ({"prompt": "a", "completion": "b"}, "no chat: it has none of messages, conversations, instruction"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
            r"messages\[0\].content\[1\] is no text but 'image_url'",
        ),
        ({"messages": [{"role": "user", "content": []}]}, r"messages\[0\].content is empty"),
        (
            {"messages": [*ASKED, {"role": "assistant", "content": "b", "tool_calls": [{"id": "1"}]}]},
            r"messages\[1\].tool_calls: not read here",
        ),
        ({"messages": [*ASKED, {"role": "assistant", "content": "b", "weight": 0}]}, r"messages\[1\].weight: not read"),
        ({"messages": [*ASKED, ANSWERED], "tools": [{"type": "function"}]}, "tools: not read here"),
        ({"messages": [{"role": "system", "content": "a"}, *ASKED, ANSWERED], "system": "b"}, "system: the first turn"),
        ({"conversations": [{"from": "robot", "value": "a"}]}, r"conversations\[0\].from is not one of .*human, gpt"),
        ({"conversations": [{"from": "human", "value": None}]}, r"conversations\[0\].value is not text"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "conversations: a user asks first"),
        ({"instruction": "a", "output": ""}, "output is empty"),
        ({"instruction": "a"}, "output is not text"),
        ({"instruction": "", "input": "", "output": "b"}, "instruction is empty"),
        ({"instruction": "a", "output": "b", "history": [["c"]]}, r"history\[0\]: not a question and its answer"),
    ],
)
def test_a_row_in_error_is_named_and_the_others_are_read(tmp_path: Path, row: object, said: str) -> None:
    file = tmp_path / "chats.jsonl"
    write_chats([TALK], file)
    with file.open("a") as out:
        out.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    good, bad = read_chats(file)
    assert isinstance(good, Chat)
    assert good.messages == TALK.messages
    assert isinstance(bad, DataInvalid)
    with pytest.raises(DataInvalid, match=rf"chats.jsonl:2: .*{said}"):
        raise bad


def test_a_chat_longer_than_the_context_is_named() -> None:
    with pytest.raises(DataInvalid, match=r"c.jsonl:9: messages: \d+ tokens, the context holds 200"):
        ROWS.of(chat_of("why? " * 200, "No.", "c.jsonl:9"))


def test_a_template_that_hides_a_turn_or_never_stops_is_refused() -> None:
    kept = TOKENIZER.chat_template
    try:
        TOKENIZER.chat_template = "{{ messages[-1].content }}<|im_end|>"
        with pytest.raises(DataInvalid, match=r"c:1: messages: .*does not show the user's text"):
            ChatRows(TOKENIZER, TOKENS, 200).of(chat_of("a", "b", "c:1"))
        TOKENIZER.chat_template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
        with pytest.raises(DataInvalid, match="ends the assistant's turn with no special token"):
            ChatRows(TOKENIZER, TOKENS, 200).of(chat_of("a", "b", "c:1"))
        TOKENIZER.chat_template = "{{ raise_exception('no system') }}"
        with pytest.raises(DataInvalid, match=r"its chat template refuses to be rendered \(no system\)"):
            ChatRows(TOKENIZER, TOKENS, 200).of(chat_of("a", "b", "c:1"))
    finally:
        TOKENIZER.chat_template = kept
