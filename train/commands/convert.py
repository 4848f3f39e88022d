"""`route-feedback train convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit
from train.data.convert import convert


def command(
    source: Annotated[Path, typer.Argument(help="Labelled comments or conversations, as JSONL.")],
    target: Annotated[Path, typer.Argument(help="The same in the other format.")],
    json: Json = False,
) -> None:
    """Labelled comments to conversations, or back; both JSONL."""
    converted = convert(source, target)
    emit(converted, f"{target}: {converted.rows} {converted.kind}", as_json=json)
