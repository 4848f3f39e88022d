"""General data: chats, one a row, and their rows of tokens; what the assistant says is learned, the rest is read.

    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

`train.data.chat_formats` says which other formats are read. A chat may begin with a system message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonomy.errors import CheckpointInvalid, DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.jsonl import parsed
from taxonomy.language.template import ChatTemplate
from taxonomy.language.tokens import HfTokenizer, Tokens
from train.data.chat_formats import Message, messages_of
from train.data.encode import TrainingRow


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
    """Read JSONL; a row in error comes as the error that names it, and the reading goes on. Raises DataInvalid."""
    return parsed(file, lambda row: chat_from(row.value, row.where))


def chat_from(row: Mapping[str, Any], where: str = "") -> Chat:
    """One row of any of the formats. Raises ValueError naming the field."""
    return Chat(messages_of(row), where)


class ChatRows:
    """Chats -> rows, by a chat template: the assistant's words are learned, and the token that ends its turn.

    What stands between the turns is tokenised as the template's own, what the turns hold as text: a special token
    written in a chat is plain characters, in training as in serving. `context`: the longest row, in tokens.
    """

    def __init__(self, tokenizer: HfTokenizer, tokens: Tokens, context: int) -> None:
        """Raises CheckpointInvalid where the tokenizer has no chat template."""
        self._template, self._tokens, self._context = ChatTemplate(tokenizer), tokens, context

    def of(self, chat: Chat) -> TrainingRow:
        """Raises DataInvalid, naming the row, where the template or the context has no room for it."""
        try:
            shown = self._template.chat([turn.role for turn in chat.messages])
        except CheckpointInvalid as error:
            raise DataInvalid(f"{chat.where}: messages: {error}") from error
        ids: list[int] = []
        learned: list[int] = []
        after = [*(piece.before for piece in shown.pieces[1:]), shown.tail]
        for (before, turn), following in zip(shown.pieces, after, strict=True):
            message = chat.messages[turn]
            content = self._tokens.text(message.content)
            ids += self._tokens.template(before)
            if message.role == "assistant":
                end = self._turn_end(self._tokens.template(following), chat)
                learned += range(len(ids), len(ids) + len(content) + end)
            ids += content
        ids += self._tokens.template(shown.tail)
        if len(ids) > self._context:
            raise DataInvalid(f"{chat.where}: messages: {len(ids)} tokens, the context holds {self._context}")
        # After the last learned token nothing is asked for.
        return TrainingRow(np.array(ids[: learned[-1] + 1], np.int32), np.array(learned, np.int32))

    def _turn_end(self, following: list[int], chat: Chat) -> int:
        """How many tokens after the assistant's words end its turn: up to the first special one."""
        for count, token in enumerate(following, 1):
            if token in self._tokens.special:
                return count
        raise DataInvalid(f"{chat.where}: the chat template ends the assistant's turn with no special token")
