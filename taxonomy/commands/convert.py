"""`route-feedback taxonomy convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Sheet
from taxonomy.formats.registry import read_taxonomy, save_taxonomy


def command(
    source: Annotated[Path, typer.Argument(help="A taxonomy file.")],
    target: Annotated[Path, typer.Argument(help="The file to write; its ending names the format.")],
    sheet: Sheet = None,
) -> None:
    """Write it in another format, by the endings."""
    taxonomy, read = read_taxonomy(source, sheet)
    save_taxonomy(taxonomy, target)
    print(f"{target}: {len(taxonomy.leaves)} leaves, version {taxonomy.version}")
    for each in read:
        print(f"  {each}")
