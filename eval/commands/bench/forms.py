"""`route-feedback bench forms`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from eval.commands.bench.files import keep, say
from eval.commands.options import Comments, FiguresFile, separated
from taxonomy.command_line import Json, emit, table
from taxonomy.errors import CallWrong

if TYPE_CHECKING:
    from eval.bench.forms import FormFigures


def command(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="Checkpoints, each of another form; the first is what others are held against.")
    ],
    comments: Comments,
    concurrency: Annotated[
        list[str] | None, typer.Option(help="Comments at once, several with commas between; 1,8,32,128 by default.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each round of a cell; 0: count tokens alone.")] = 30.0,
    repeats: Annotated[int, typer.Option(help="Rounds of each cell.")] = 3,
    widened: Annotated[bool, typer.Option(help="Measure larger models that decide alike (200 M), too.")] = False,
    plain: Annotated[bool, typer.Option(help="Beside them vLLM as it comes, under the reference grammar.")] = False,
    out: FiguresFile = None,
    json: Json = False,
) -> None:
    """What an answer costs in each form: tokens, and answers a second, side by side in one run."""
    from eval.bench.forms import PLAIN, forms
    from eval.bench.models import widened_checkpoint
    from eval.bench.speed import SpeedPlan
    from serve.settings import load_settings
    from taxonomy.checkpoint.manifest import read_manifest
    from taxonomy.comments import read_comments

    by_form = {str(read_manifest(folder).form): folder for folder in checkpoints}
    if len(by_form) < len(checkpoints):
        raise CallWrong("two checkpoints have one form; give one of each")
    plan = SpeedPlan(systems=(PLAIN,) if plain else (), seconds=seconds, repeats=repeats if seconds else 0, compared=0)
    if concurrency:
        plan = replace(plan, concurrencies=tuple(int(text) for text in separated(concurrency)))
    settings = load_settings(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        models = {"as it is": by_form}
        if widened:
            models["200 M"] = {form: Path(folder) / form for form in by_form}
            for form, source in by_form.items():
                widened_checkpoint(source, Path(folder) / form)
        served = {
            name: {form: settings.model_copy(update={"checkpoint": str(own)}) for form, own in each.items()}
            for name, each in models.items()
        }
        labelled = list(read_comments(comments))
        figures = asyncio.run(forms(labelled, served, plan, say, lambda so_far: keep(out, so_far)))
    keep(out, figures)
    emit(figures, _tokens(figures), *_rates(figures), as_json=json)


def _tokens(figures: FormFigures) -> Table:
    first = next(iter(figures.tokens.values()))
    rows = [
        (
            form,
            *(f"{n:.1f}" for n in (t.prompt, t.answer, t.decisions, t.computed)),
            f"{t.computed / first.computed:.3f}",
        )
        for form, t in figures.tokens.items()
    ]
    return table(["form", "prompt", "answer", "decisions", "computed", "of the first"], rows)


def _rates(figures: FormFigures) -> list[Table]:
    if not figures.rows:
        return []
    rows = [(r.model, r.system, r.concurrency, r.requests_per_second, r.p50_ms or "-") for r in figures.rows]
    compared = [
        (name, cell.model, cell.concurrency, f"{cell.median:.2f} ({cell.low:.2f} to {cell.high:.2f})")
        for name, cells in figures.ratios.items()
        for cell in cells
        if cell.median is not None
    ]
    return [
        table(["model", "system", "at once", "answers a second", "p50 ms"], rows),
        table(["ratio", "model", "at once", "median (range)"], compared),
    ]
