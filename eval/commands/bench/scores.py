"""`route-feedback bench scores`."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.commands.bench.files import keep, say
from eval.commands.options import Comments, FiguresFile
from taxonomy.command_line import Json, emit
from taxonomy.comments import read_comments
from taxonomy.errors import CallWrong


def command(
    comments: Comments,
    count: Annotated[int, typer.Option(help="Predictions; the comments are repeated.")] = 100_000,
    rounds: Annotated[int, typer.Option(help="Of each of the two.")] = 5,
    out: FiguresFile = None,
    json: Json = False,
) -> int:
    """Scoring alone, beside a plain loop. Exit code 1 where their figures differ."""
    from eval.bench.scores import bench_scores

    labelled = list(read_comments(comments))
    if not labelled or min(count, rounds) < 1:
        raise CallWrong("nothing to score: give --comments with some, --count and --rounds of 1 or more")
    figures = bench_scores(labelled, count, rounds, say)
    keep(out, figures)
    took, ratio = figures.median_s, figures.ratio
    spread = f"{ratio.median:.1f} times ({ratio.low:.1f} to {ratio.high:.1f})"
    text = f"{count} predictions: {took['scores']:.2f} s, a plain loop {took['naive']:.2f} s, {spread}"
    emit(figures, f"{text}; equal figures: {figures.equal}", as_json=json)
    return 0 if figures.equal else 1
