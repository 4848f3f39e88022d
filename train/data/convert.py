r"""Labelled comments from where they are made, and to and from conversations.

Label Studio's JSON export (`train.data.label_studio`) and tables (`train.data.label_tables`) become labelled comments.
Labelled comments become conversations, and back: one chat a line, in the format `bedrock-conversation-2024`.

    {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "..."}],
     "messages": [{"role": "user", "content": [{"text": "the comment"}]},
                  {"role": "assistant", "content": [{"text": "[{\"content\":...}]"}]}]}

The assistant's text is the answer as a model writes it, residue included. A conversation has no id; one that comes from
there is named by its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from taxonomy.comments import LabelledComment, from_json, read_comments, write_comments
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.formats.records import is_table
from taxonomy.jsonl import Row, first_row, parsed, without_faults
from taxonomy.language.answer import written
from taxonomy.language.prompt import LEARNED_SYSTEM
from train.data.label_sources import LabelReading
from train.data.label_studio import comment_of, is_task
from train.data.label_tables import read_table

SCHEMA: Final = "bedrock-conversation-2024"
_ROLES: Final = ["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Converted:
    """How many rows were written, and what they are now. notes: what was left out, filled in or read otherwise."""

    rows: int
    kind: Literal["labelled comments", "conversations"]
    notes: tuple[str, ...] = ()


def convert(source: Path, target: Path, reading: LabelReading, sheet: str | None = None) -> Converted:
    """Write `source` as labelled comments; where it holds those already, as conversations.

    Raises DataInvalid with all rows in error, and then nothing is written; CallWrong, OSError.
    """
    if is_table(source):
        return _comments(read_table(source, reading, sheet), target, reading)
    if sheet is not None:
        raise CallWrong(f"{source} has no sheets; leave out --sheet")
    first = first_row(source)
    if is_task(first):
        return _comments(parsed(source, lambda row: comment_of(row, reading)), target, reading)
    if "messages" in first:
        return _comments(parsed(source, _labelled), target, reading)
    return Converted(write_jsonl(list(map(_conversation, read_comments(source))), target), "conversations")


def _comments(found: Iterable[LabelledComment | DataInvalid | None], target: Path, reading: LabelReading) -> Converted:
    comments = [comment for comment in without_faults(found) if comment is not None]
    notes = (f"{count} {what}" if count > 1 else what for what, count in reading.notes.items())
    return Converted(write_comments(comments, target), "labelled comments", tuple(notes))


def _conversation(comment: LabelledComment) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA,
        "system": [{"text": LEARNED_SYSTEM}],
        "messages": [
            {"role": role, "content": [{"text": text}]}
            for role, text in zip(_ROLES, [comment.comment, written(comment.parts)], strict=True)
        ],
    }


def _labelled(given: Row) -> LabelledComment:
    row = given.value
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
    return from_json({"id": f"line-{given.line:06d}", "comment": comment, "segments": segments})


def _text(message: dict[str, Any], index: int) -> str:
    content = message.get("content")
    texts = [part.get("text") for part in content] if isinstance(content, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"messages[{index}].content: no text")
    return "".join(texts)
