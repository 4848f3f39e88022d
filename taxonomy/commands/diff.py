"""`route-feedback taxonomy diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit
from taxonomy.diff import changed_fields, diff
from taxonomy.formats.registry import load_taxonomy


def command(
    old: Annotated[Path, typer.Argument(help="A taxonomy file.")],
    new: Annotated[Path, typer.Argument(help="The one that follows it.")],
    json: Json = False,
) -> None:
    """What changed from one taxonomy to the next."""
    change = diff(load_taxonomy(old), load_taxonomy(new))
    lines = [
        *(f"moved    {' > '.join(before)}\n      to {' > '.join(now)}" for before, now in change.moved.items()),
        *(f"removed  {' > '.join(path)}" for path in change.removed),
        *(f"added    {' > '.join(path)}" for path in change.added),
        *(f"changed  {' > '.join(now.path)}: {', '.join(changed_fields(was, now))}" for was, now in change.changed),
    ]
    emit(change.as_json(), "\n".join(lines) or "no leaf differs", as_json=json)
