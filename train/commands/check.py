"""`route-feedback train check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit


def command(
    data: Annotated[list[Path], typer.Argument(help="Labelled comments, chats or plain texts.")],
    taxonomy: Annotated[Path, typer.Option(help="The taxonomy that the comments are labelled by.")],
    test: Annotated[
        list[Path] | None, typer.Option(help="A file that must not leak into them; may be given several times.")
    ] = None,
    general: Annotated[
        Path | None, typer.Option(help="A folder of general benchmarks, not to be in the data either.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Go on after a row in error, and count.")
    ] = False,
    card: Annotated[Path | None, typer.Option(help="Write a data card here (Markdown, and JSON beside it).")] = None,
    json: Json = False,
) -> None:
    """Examine labelled comments, chats and plain texts before a training."""
    from tqdm import tqdm

    from taxonomy.formats.registry import load_taxonomy
    from train.data.card import summary, write_card
    from train.data.check import check

    labels = load_taxonomy(taxonomy)
    report = check(
        data,
        labels,
        test=test or (),
        benchmarks=general,
        skip_invalid=skip_invalid,
        watch=lambda rows: tqdm(rows, unit=" rows", leave=False),
    )
    if card:
        write_card(report, labels, data, card)
    emit(report.full(labels), summary(report, labels), as_json=json)
