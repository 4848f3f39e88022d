"""`route-feedback bench constraint`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from eval.commands.bench.files import keep, read_texts, say
from eval.commands.options import Comments, FiguresFile
from taxonomy.command_line import Json, emit, table


def command(
    comments: Comments,
    rounds: Annotated[int, typer.Option(help="Comments for each length.")] = 400,
    out: FiguresFile = None,
    json: Json = False,
) -> None:
    """Compile and decision times, and how they grow."""
    from eval.bench.constraint import constraint
    from serve.settings import load_settings
    from serve.start import load_pair

    figures = constraint(read_texts(comments), load_pair(load_settings(os.environ)).tokens.tokenizer, rounds, say)
    keep(out, figures)
    titles = ["form", "leaves", "characters", "compile ms p50", "p99", "decision us p50", "p99 ", "taxonomy s"]
    rows = [
        (
            row.form,
            row.leaves,
            row.characters,
            row.compile_ms.p50,
            row.compile_ms.p99,
            row.decision_us.p50,
            row.decision_us.p99,
            row.taxonomy_s,
        )
        for row in figures.rows
    ]
    emit(figures, table(titles, rows), as_json=json)
