"""`route-feedback taxonomy convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.formats.registry import load_taxonomy, save_taxonomy


def command(
    source: Annotated[Path, typer.Argument(help="A taxonomy file.")],
    target: Annotated[Path, typer.Argument(help="The file to write; its ending names the format.")],
) -> None:
    """Write it in another format, by the endings."""
    taxonomy = load_taxonomy(source)
    save_taxonomy(taxonomy, target)
    print(f"{target}: {len(taxonomy.leaves)} leaves, version {taxonomy.version}")
