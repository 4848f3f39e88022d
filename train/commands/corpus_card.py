"""`route-feedback corpus card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.files import write_text


def command(file: Annotated[Path, typer.Argument(help="A Markdown file.")]) -> None:
    """Describe the corpus and measure the baseline (about 5 minutes)."""
    from train.corpus.card import card

    write_text(card(), file)
    print(f"{file}: written")
