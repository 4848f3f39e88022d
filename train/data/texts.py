"""Plain text and its rows, every token of which is learned.

A `.txt` file is one text; JSONL has one a line, `{"text": "..."}`. Other keys say where it came from and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonomy.errors import DataInvalid
from taxonomy.jsonl import parsed
from taxonomy.language.tokens import Tokens
from train.data.encode import TrainingRow


@dataclass(frozen=True, slots=True)
class Text:
    """One text; `where` names it for a person (file and line)."""

    text: str
    where: str = ""


def read_texts(file: Path) -> Iterator[Text | DataInvalid]:
    """A row in error comes as the error that names it, and the reading goes on. Raises DataInvalid, OSError."""
    if file.suffix == ".txt":
        yield _whole(file)
        return
    yield from parsed(file, lambda row: Text(_text(row.value), row.where))


def text_rows(text: Text, tokens: Tokens, length: int) -> Iterator[TrainingRow]:
    """Rows of at most `length` tokens in which each token of the text, and the one that ends it, is learned once.

    Before a text stands the token that ends one; a row begins with the token that the row before it ended with.
    """
    ids = np.array([tokens.eos, *tokens.text(text.text), tokens.eos], np.int32)
    for start in range(0, len(ids) - 1, length - 1):
        piece = ids[start : start + length]
        yield TrainingRow(piece, np.arange(1, len(piece), dtype=np.int32))


def _whole(file: Path) -> Text | DataInvalid:
    try:
        return Text(_text({"text": file.read_text(encoding="utf-8-sig")}), str(file))
    except UnicodeDecodeError as error:
        return DataInvalid(f"{file}: not UTF-8 at byte {error.start + 1}; save the file as UTF-8")
    except ValueError as error:
        return DataInvalid(f"{file}: {error}")


def _text(row: Mapping[str, Any]) -> str:
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text: not text, or empty")
    return text
