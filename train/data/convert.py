r"""Labelled comments to and from conversations: one chat a line, in the format `bedrock-conversation-2024`.

    {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "..."}],
     "messages": [{"role": "user", "content": [{"text": "the comment"}]},
                  {"role": "assistant", "content": [{"text": "[{\"content\":...}]"}]}]}

The assistant's text is the answer as a model writes it, residue included. A conversation has no id; one that comes from
there is named by its line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from taxonomy.comments import LabelledComment, as_json, from_json, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.language.answer import written
from taxonomy.language.prompt import LEARNED_SYSTEM

SCHEMA: Final = "bedrock-conversation-2024"
_ROLES: Final = ["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Converted:
    """How many rows were written, and what they are now."""

    rows: int
    kind: Literal["labelled comments", "conversations"]


def convert(source: Path, target: Path) -> Converted:
    """Write `source` in the other format. Raises DataInvalid, and then nothing is written."""
    if _is_conversation(source):
        return Converted(write_jsonl(list(_rows(source, _labelled)), target), "labelled comments")
    return Converted(write_jsonl(list(map(_conversation, read_comments(source))), target), "conversations")


def _is_conversation(file: Path) -> bool:
    with file.open(encoding="utf-8") as lines:
        try:
            return "messages" in json.loads(lines.readline() or "{}")
        except (ValueError, TypeError) as error:
            raise DataInvalid(f"{file}:1: {error}") from error


def _rows(file: Path, read: Callable[[Any, int], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield read(json.loads(line), number)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise DataInvalid(f"{file}:{number}: {error}") from error


def _conversation(comment: LabelledComment) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA,
        "system": [{"text": LEARNED_SYSTEM}],
        "messages": [
            {"role": role, "content": [{"text": text}]}
            for role, text in zip(_ROLES, [comment.comment, written(comment.parts)], strict=True)
        ],
    }


def _labelled(row: dict[str, Any], number: int) -> dict[str, Any]:
    if row.get("schemaVersion", SCHEMA) != SCHEMA:
        raise ValueError(f"schemaVersion is {row['schemaVersion']!r}, not {SCHEMA!r}")
    messages = row.get("messages")
    if not isinstance(messages, list) or [message.get("role") for message in messages] != _ROLES:
        raise ValueError("messages: not one of a user and one of the assistant")
    comment, answer = (_text(message, index) for index, message in enumerate(messages))
    try:
        segments = [entry for entry in json.loads(answer) if len(entry) > 1]
    except (ValueError, TypeError) as error:
        raise ValueError(f"messages[1].content: no JSON array of objects ({error})") from error
    return as_json(from_json({"id": f"line-{number:06d}", "comment": comment, "segments": segments}))


def _text(message: dict[str, Any], index: int) -> str:
    content = message.get("content")
    texts = [part.get("text") for part in content] if isinstance(content, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"messages[{index}].content: no text")
    return "".join(texts)
