"""`route-feedback eval seed-compat`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import Gold
from taxonomy.command_line import Json, emit, table


def command(
    gold: Gold,
    pred: Annotated[Path, typer.Option(help="JSONL of predictions or of the service's answers.")],
    json: Json = False,
) -> None:
    """The study's own scores, for comparison with its table."""
    from eval.scoring.predictions import described, read_rows, uncollected, unmatched
    from eval.scoring.seed_compat import seed_compat

    with uncollected():
        rows, predicted = list(read_rows(gold)), list(read_rows(pred))
    faults = unmatched(gold, rows, predicted)
    first = {row.id: row.segments for row in reversed(predicted)}
    scores = seed_compat({row.id: row.segments for row in rows}, first)
    for line in described(faults):
        print(f"eval seed-compat: {line}", file=sys.stderr)
    levels = [(name, rates.precision, rates.recall, rates.f1) for name, rates in scores.items()]
    emit(scores, table(["", "P", "R", "F1"], levels, digits=4), as_json=json)
