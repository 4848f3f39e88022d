"""General data: chats, one a line, and their rows; what the assistant says is learned, the rest is read.

    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

A chat may begin with a system message. Other keys beside `messages` say where it came from and are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jinja2 import TemplateError

from taxonomy.errors import DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.language.tokens import HfTokenizer, Tokens
from train.data.encode import TrainingRow

_ROLES: Final = ("system", "user", "assistant")


class Message(NamedTuple):
    """One turn."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Turns, at least one of them the assistant's; `where` names the row for a person (file and line)."""

    messages: tuple[Message, ...]
    where: str = ""


def chat_of(question: str, answer: str, where: str = "") -> Chat:
    """One question and its answer."""
    return Chat((Message("user", question), Message("assistant", answer)), where)


def as_json(chat: Chat) -> dict[str, Any]:
    """One row."""
    return {"messages": [{"role": message.role, "content": message.content} for message in chat.messages]}


def write_chats(chats: Iterable[Chat], file: Path) -> int:
    """Write JSONL; gives the number of chats."""
    return write_jsonl(map(as_json, chats), file)


def read_chats(file: Path) -> Iterator[Chat | DataInvalid]:
    """Read JSONL; a row in error comes as the error that names it, and the reading goes on."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{file}:{number}"
            try:
                yield chat_from(json.loads(line), where)
            except (ValueError, TypeError) as error:
                yield DataInvalid(f"{where}: {error}")


def is_chats(file: Path) -> bool:
    """Whether the first row is a chat; a file without a row in JSON is none. Raises OSError."""
    with file.open(encoding="utf-8") as lines:
        try:
            return "messages" in json.loads(lines.readline())
        except (ValueError, TypeError):
            return False


def chat_from(row: Any, where: str = "") -> Chat:
    """One row. Raises ValueError naming the field."""
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list):
        raise ValueError("messages: not a list")  # noqa: TRY004 (the row is wrong, not the caller)
    turns = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))
    spoken = [turn.role for turn in turns if turn.role != "system"]
    if "assistant" not in spoken or spoken[0] != "user":
        raise ValueError("messages: a user asks first, and an assistant answers")
    return Chat(turns, where)


def _message(message: Any, where: str) -> Message:
    role, content = (message.get(key) if isinstance(message, dict) else None for key in ("role", "content"))
    if role not in _ROLES:
        raise ValueError(f"{where}.role is not one of {', '.join(_ROLES)}")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"{where}.content is not text")
    return Message(role, content)


class ChatRows:
    """Chats -> rows, by a chat template: the assistant's words are learned, and the token that ends its turn.

    What stands between the turns is tokenised as the template's own, what the turns hold as text: a special token
    written in a chat is plain characters, in training as in serving. `context`: the longest row, in tokens.
    """

    def __init__(self, tokenizer: HfTokenizer, tokens: Tokens, context: int) -> None:
        self._tokenizer, self._tokens, self._context = tokenizer, tokens, context
        self._special = set(tokenizer.all_special_ids)

    def of(self, chat: Chat) -> TrainingRow:
        """Raises DataInvalid, naming the row, where the template or the context has no room for it."""
        before, *after = self._between(chat)
        ids = self._tokens.template(before)
        learned: list[int] = []
        for message, following in zip(chat.messages, after, strict=True):
            content = self._tokens.text(message.content)
            rest = self._tokens.template(following)
            if message.role == "assistant":
                learned += range(len(ids), len(ids) + len(content) + self._turn_end(rest, chat))
            ids += [*content, *rest]
        if len(ids) > self._context:
            raise DataInvalid(f"{chat.where}: messages: {len(ids)} tokens, the context holds {self._context}")
        # After the last learned token nothing is asked for.
        return TrainingRow(np.array(ids[: learned[-1] + 1], np.int32), np.array(learned, np.int32))

    def _between(self, chat: Chat) -> list[str]:
        """What the template puts before the first turn's content, and after each."""
        marks = [f"\ue000{index}\ue001" for index in range(len(chat.messages))]
        turns = [{"role": turn.role, "content": mark} for turn, mark in zip(chat.messages, marks, strict=True)]
        try:
            rest = str(self._tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False))
        except (TemplateError, ValueError) as error:
            raise DataInvalid(f"{chat.where}: messages: the chat template refuses them: {error}") from error
        between = []
        for index, mark in enumerate(marks):
            before, found, rest = rest.partition(mark)
            if not found or mark in rest:
                raise DataInvalid(f"{chat.where}: messages[{index}]: the chat template does not show it exactly once")
            between.append(before)
        return [*between, rest]

    def _turn_end(self, following: list[int], chat: Chat) -> int:
        """How many tokens after the assistant's words end its turn: up to the first special one."""
        for count, token in enumerate(following, 1):
            if token in self._special:
                return count
        raise DataInvalid(f"{chat.where}: the chat template ends the assistant's turn with no special token")
