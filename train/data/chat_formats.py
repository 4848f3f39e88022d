"""Chats as people have them; which of the three a row is, its keys say.

    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": [{"type": "text", ...}]}]}
    {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}
    {"instruction": "...", "input": "", "output": "...", "history": [["...", "..."]]}

The first is OpenAI's, the second ShareGPT's, the third Alpaca's, whose instruction and input are one question of two
lines. `system` beside the turns is the system message. What would change the meaning of a chat and has no place here
(tools, images, weights of turns) is refused; other keys say where a row came from, and are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

Json = Mapping[str, Any]
_ROLES: Final = {name: name for name in ("system", "user", "assistant", "tool")} | {"developer": "system"}
_SPEAKERS: Final = _ROLES | {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant"}
_UNREAD_OF_ROW: Final = ("tools", "functions")
_UNREAD_OF_TURN: Final = (
    "tool_calls",
    "function_call",
    "audio",
    "refusal",
    "reasoning",
    "reasoning_content",
    "thinking",
    "weight",
    "train",
)
_NOTHING: Final[tuple[object, ...]] = (None, "", "[]", 1, [], {})
"""Values of a key that says something about the reading, with which it says nothing; True is 1."""


class Message(NamedTuple):
    """One turn; its role is system, user, assistant or tool."""

    role: str
    content: str


def is_chat(row: Json) -> bool:
    """Whether the keys are those of a chat."""
    return any(_has(row, key) for key in _FORMATS)


def messages_of(row: Json) -> tuple[Message, ...]:
    """The turns of a row. Raises ValueError naming the field."""
    messages = _messages(row)
    spoken = [turn.role for turn in messages if turn.role != "system"]
    if "assistant" not in spoken or spoken[0] != "user":
        raise ValueError(f"{_found(row)}: a user asks first, and an assistant answers")
    return messages


def questions_of(row: Json) -> tuple[Message, ...]:
    """The system's and the user's turns of a row, which need have no answers. Raises ValueError naming the field."""
    asked = tuple(turn for turn in _messages(row) if turn.role != "assistant")
    if not asked or asked[-1].role != "user" or {turn.role for turn in asked} - {"system", "user"}:
        raise ValueError(f"{_found(row)}: no question ends it, or a tool speaks in it")
    return asked


def _messages(row: Json) -> tuple[Message, ...]:
    _refuse(row, _UNREAD_OF_ROW, "")
    format_ = _found(row)
    turns = _FORMATS[format_](row)
    system = _content(row["system"], "system") if row.get("system") not in (None, "", []) else ""
    if system and turns and turns[0].role == "system":
        raise ValueError(f"system: the first turn of {format_} is a system message too; keep one of them")
    return (Message("system", system), *turns) if system else tuple(turns)


def _found(row: Json) -> str:
    """The key that says which format it is."""
    found = [key for key in _FORMATS if _has(row, key)]
    if not found:
        raise ValueError(f"no chat: it has none of {', '.join(_FORMATS)}")
    if len(found) > 1:
        raise ValueError(f"{' and '.join(found)}: one row is one chat; keep one of them")
    return found[0]


def _openai(row: Json) -> list[Message]:
    return _turns(row["messages"], "messages", "role", "content", _ROLES)


def _sharegpt(row: Json) -> list[Message]:
    return _turns(row["conversations"], "conversations", "from", "value", _SPEAKERS)


def _alpaca(row: Json) -> list[Message]:
    turns: list[Message] = []
    history = row.get("history") or []
    if not isinstance(history, list):
        raise ValueError("history: not a list of questions with their answers")  # noqa: TRY004 (the row is wrong)
    for index, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != len(("question", "answer")):
            raise ValueError(f"history[{index}]: not a question and its answer")
        question, answer = (_content(text, f"history[{index}][{at}]") for at, text in enumerate(pair))
        turns += [Message("user", question), Message("assistant", answer)]
    asked = [_text(row.get(key) or "", key) for key in ("instruction", "input")]
    question = _content("\n".join(text for text in asked if text), "instruction")
    return [*turns, Message("user", question), Message("assistant", _content(row.get("output"), "output"))]


_FORMATS: Final[dict[str, Callable[[Json], list[Message]]]] = {
    "messages": _openai,
    "conversations": _sharegpt,
    "instruction": _alpaca,
}
"""Of the key that only rows of a format have, who reads it."""


def _has(row: Json, key: str) -> bool:
    """Tables of several formats have the columns of all of them, null where they are not a row's own."""
    return row.get(key) is not None


def _turns(given: Any, field: str, role: str, content: str, roles: Mapping[str, str]) -> list[Message]:
    if not isinstance(given, list):
        raise ValueError(f"{field}: not a list")  # noqa: TRY004
    turns = []
    for index, turn in enumerate(given):
        where = f"{field}[{index}]"
        if not isinstance(turn, dict):
            raise ValueError(f"{where}: not an object with {role} and {content}")  # noqa: TRY004
        name = turn.get(role)
        if not isinstance(name, str) or name not in roles:
            raise ValueError(f"{where}.{role} is not one of {', '.join(roles)}")
        _refuse(turn, _UNREAD_OF_TURN, f"{where}.")
        turns.append(Message(roles[name], _content(turn.get(content), f"{where}.{content}")))
    return turns


def _refuse(given: Json, unread: Iterable[str], where: str) -> None:
    for key in unread:
        if given.get(key) not in _NOTHING:
            raise ValueError(f"{where}{key}: not read here, and the chat would mean something else without it")


def _content(given: Any, where: str) -> str:
    """Text, or the texts of a list of parts laid end to end."""
    if isinstance(given, list):
        given = "".join(_part(part, f"{where}[{index}]") for index, part in enumerate(given))
    text = _text(given, where)
    if not text.strip():
        raise ValueError(f"{where} is empty")
    return text


def _part(part: Any, where: str) -> str:
    if isinstance(part, dict) and part.get("type", "text") == "text":
        return _text(part.get("text"), f"{where}.text")
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise ValueError(f"{where} is no text but {kind!r}: only text is learned")


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{where} is not text")  # noqa: TRY004
    return given
