"""`route-feedback bench speed`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from eval.commands.bench.files import keep, read_texts, say
from eval.commands.options import Comments, FiguresFile, chosen, separated
from taxonomy.command_line import Json, emit, table
from taxonomy.errors import CallWrong

if TYPE_CHECKING:
    from eval.bench.speed import SpeedFigures, SpeedRatio
    from serve.settings import Settings

MODELS: Final = ("bundled", "random-200m")
LENGTHS: Final = ("short", "long")
SEVERAL: Final = "Several with commas between; all by default."


def command(
    comments: Comments,
    systems: Annotated[list[str] | None, typer.Option(help=SEVERAL, show_default=False)] = None,
    models: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(MODELS)}. {SEVERAL}", show_default=False)
    ] = None,
    concurrency: Annotated[
        list[str] | None, typer.Option(help="Comments at once, several with commas between; 1,8,32,128 by default.")
    ] = None,
    lengths: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(LENGTHS)}. {SEVERAL}", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each round of a cell.")] = 60.0,
    repeats: Annotated[int, typer.Option(help="Rounds of each cell.")] = 3,
    compared: Annotated[int, typer.Option(help="Comments whose answers are compared; 0: none.")] = 100,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures here (SVG or PNG).")] = None,
    out: FiguresFile = None,
    json: Json = False,
) -> None:
    """Answers a second of five systems, side by side in one run."""
    from eval.bench.speed import OWN, SYSTEMS, SpeedPlan, long_comments, ratios, speed
    from serve.settings import load_settings

    names = chosen("--systems", systems, SYSTEMS)
    asked_models = chosen("--models", models, MODELS)
    short = read_texts(comments)
    if not short:
        raise CallWrong(f"{comments} has no comments")
    texts = {"short": short, "long": long_comments(short)}
    if not texts["long"]:
        raise CallWrong(f"{comments} has too few comments to make long ones of")
    plan = SpeedPlan(systems=names, seconds=seconds, repeats=repeats, compared=compared)
    if concurrency:
        plan = replace(plan, concurrencies=tuple(map(_count, separated(concurrency))))
    asked = {kind: texts[kind] for kind in chosen("--lengths", lengths, LENGTHS)}
    settings = load_settings(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        served = {name: _model(name, settings, Path(folder)) for name in asked_models}
        figures = asyncio.run(speed(asked, served, plan, say, lambda so_far: keep(out, so_far.as_json())))
    against = {f"{OWN} / {name}": ratios(figures.rows, OWN, name) for name in names if name != OWN}
    figures = replace(figures, ratios=against)
    keep(out, figures.as_json())
    if plot:
        from eval.bench.plot import plot as draw

        draw(figures.rows, plot)
    emit(figures.as_json(), _table(figures), *_lines(figures), as_json=json)


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise CallWrong(f"--concurrency: {text!r} is no number") from error


def _model(name: str, settings: Settings, folder: Path) -> Settings:
    if name == "bundled":
        return settings
    from eval.bench.models import random_checkpoint
    from serve.start import load_pair

    say(f"making {name}")
    random_checkpoint(load_pair(settings), folder)
    return settings.model_copy(update={"checkpoint": str(folder)})


def _table(figures: SpeedFigures) -> Table:
    titles = ["system", "model", "comments", "at once", "answers/s", "at best", "p50 ms", "p99 ms"]
    rows = [
        (
            row.system,
            row.model,
            row.comments,
            row.concurrency,
            row.requests_per_second,
            row.limit_per_second,
            *(None if latency is None else round(latency) for latency in (row.p50_ms, row.p99_ms)),
        )
        for row in figures.rows
    ]
    return table(titles, rows, digits=2)


def _lines(figures: SpeedFigures) -> Iterator[str]:
    from eval.bench.speed import REFERENCE

    for name, cells in (figures.ratios or {}).items():
        yield f"\n{name}"
        yield from (
            f"  {cell.model:<12} {cell.comments:<9} {cell.concurrency:>7}   {_spread(name, cell)}" for cell in cells
        )
    for model, agreed in figures.agreement.items():
        yield (
            f"\n{model}: {agreed.identical} of {agreed.comments} answers are those of {REFERENCE}; "
            f"{agreed.differing_in_other_tokens} of the others it wrote in other tokens than training does"
        )


def _spread(name: str, cell: SpeedRatio) -> str:
    if cell.median is None:
        return f"{name.split(' / ')[1]} gave no answer in the time"
    return f"{cell.median:.2f} ({cell.low:.2f} to {cell.high:.2f})"
