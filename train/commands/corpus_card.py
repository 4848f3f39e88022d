"""`route-feedback corpus card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.files import write_text
from train.corpus.generator import DATA


def command(
    file: Annotated[Path, typer.Argument(help="A Markdown file.")],
    phrasings: Annotated[
        Path,
        typer.Option(
            show_default="the bundled corpus's", help="A folder with phrasebook.jsonl and frames.yaml.", exists=True
        ),
    ] = DATA,
) -> None:
    """Describe the corpus and measure the baseline (about 5 minutes)."""
    from train.corpus.card import card

    write_text(card(phrasings), file)
    print(f"{file}: written")
