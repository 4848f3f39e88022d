"""What a reader of benchmark questions makes of a file: documents, and one error where there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from taxonomy.errors import DataInvalid
from taxonomy.jsonl import parsed, without_faults

Document = dict[str, Any]
Splits = dict[str, list[Document]]


def jsonl(file: Path, document: Callable[[Document], Document]) -> list[Document]:
    """A document a row. Raises DataInvalid where the file is missing or empty, or naming each row in error."""
    try:
        return some(file, list(without_faults(parsed(file, lambda row: document(row.value)))))
    except FileNotFoundError as error:
        raise DataInvalid(f"{file} is missing") from error


def some(file: Path, documents: list[Document]) -> list[Document]:
    """They, if there are any. Raises DataInvalid."""
    if not documents:
        raise DataInvalid(f"{file} is empty")
    return documents
