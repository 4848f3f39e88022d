"""`route-feedback bench observing`."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Final

import typer

from eval.commands.bench.files import keep, read_texts, say
from eval.commands.options import Comments, FiguresFile
from taxonomy.command_line import Json, emit, table
from taxonomy.errors import CallWrong

LEAST_ROUNDS: Final = 2


def command(
    comments: Comments,
    seconds: Annotated[float, typer.Option(help="Of each of the two in each round.")] = 10.0,
    rounds: Annotated[int, typer.Option(help="Of both.")] = 12,
    concurrency: Annotated[int, typer.Option(help="Comments at once.")] = 32,
    out: FiguresFile = None,
    json: Json = False,
) -> None:
    """Throughput with metrics and traces, and without."""
    from eval.bench.observing import ObservingPlan, observing, starting
    from serve.settings import load_settings

    texts = read_texts(comments)
    if not texts or min(seconds, concurrency) <= 0 or rounds < LEAST_ROUNDS:
        raise CallWrong(f"give --comments with some, --seconds, --concurrency, and --rounds of {LEAST_ROUNDS} or more")
    plan = ObservingPlan(seconds, rounds, concurrency)
    figures = asyncio.run(observing(texts, starting(load_settings(os.environ)), plan, say))
    keep(out, figures)
    rows = [(row.system, row.requests_per_second, row.cpu_ms_per_answer) for row in figures.rows]
    ratio = figures.ratio
    low, high = ratio.quartiles
    spread = f"half of the rounds {low:.3f} to {high:.3f}, all {ratio.low:.3f} to {ratio.high:.3f}"
    emit(
        figures,
        table(["", "answers/s", "ms of a core"], rows, digits=2),
        f"with / without: {ratio.median:.3f} ({spread})",
        as_json=json,
    )
