"""`route-feedback taxonomy diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, Sheet, emit
from taxonomy.diff import changed_fields, diff
from taxonomy.formats.registry import load_taxonomy, sheet_of


def command(
    old: Annotated[Path, typer.Argument(help="A taxonomy file.")],
    new: Annotated[Path, typer.Argument(help="The one that follows it.")],
    sheet: Sheet = None,
    json: Json = False,
) -> None:
    """What changed from one taxonomy to the next."""
    change = diff(load_taxonomy(old, sheet_of(old, sheet)), load_taxonomy(new, sheet_of(new, sheet)))
    lines = [
        *(f"moved    {' > '.join(before)}\n      to {' > '.join(now)}" for before, now in change.moved.items()),
        *(f"merged   {' > '.join(before)}\n    into {' > '.join(now)}" for before, now in change.merged.items()),
        *(
            f"split    {' > '.join(before)}" + "".join(f"\n    into {' > '.join(path)}" for path in below)
            for before, below in change.split.items()
        ),
        *(f"removed  {' > '.join(path)}" for path in change.removed),
        *(f"added    {' > '.join(path)}" for path in change.added),
        *(f"changed  {' > '.join(now.path)}: {', '.join(changed_fields(was, now))}" for was, now in change.changed),
    ]
    emit(change.as_json(), "\n".join(lines) or "no leaf differs", as_json=json)
