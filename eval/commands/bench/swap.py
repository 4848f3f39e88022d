"""`route-feedback bench swap`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from eval.commands.bench.files import keep, read_texts, say
from eval.commands.options import Comments, FiguresFile
from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong


def command(
    comments: Comments,
    checkpoints: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two directories; by default the bundled one and a noisy copy.")
    ] = None,
    strategy: Annotated[Literal["blue_green", "in_place"], typer.Option(help="How it is activated.")] = "blue_green",
    swaps: Annotated[int, typer.Option(help="How many.")] = 20,
    clients: Annotated[int, typer.Option(help="That ask at a time.")] = 16,
    count: Annotated[int, typer.Option(help="Of the comments.")] = 40,
    quiet_s: Annotated[float, typer.Option(help="Seconds of load before the first.")] = 30.0,
    between_s: Annotated[float, typer.Option(help="Seconds of load after each.")] = 2.0,
    out: FiguresFile = None,
    json: Json = False,
) -> int:
    """One checkpoint for another under load: what fails, differs, waits. Exit code 1 where anything does."""
    from eval.bench.swap import SwapBench, SwapPlan
    from serve.settings import load_settings
    from taxonomy.formats.registry import load_taxonomy

    texts = read_texts(comments)[:count]
    if not texts or min(swaps, clients) < 1:
        raise CallWrong("nothing to measure: give --comments with some, --swaps and --clients of 1 or more")
    settings = load_settings(os.environ)
    plan = SwapPlan(swaps, clients, quiet_s, between_s, strategy)
    with tempfile.TemporaryDirectory() as folder:
        folders = checkpoints or _noisy(Path(settings.checkpoint), Path(folder) / "noisy")
        work = Path(folder) / "work"
        (work / "registry").mkdir(parents=True)
        bench = SwapBench(load_taxonomy(settings.taxonomy), texts, settings, plan, work, say)
        found = asyncio.run(bench.run(folders))
    keep(out, found)
    memory = found.memory_mib
    emit(
        found,
        f"{found.swaps} swaps ({strategy}), {found.requests} requests: {found.failed} failed, "
        f"{found.mismatched} mismatched; {found.identical} identical, {found.same_labels} but for digits, "
        f"{found.as_among_others} as a fresh engine answers among others",
        f"p99 {found.p99_ms} ms, during a swap {found.p99_during_swap_ms} ms; "
        f"memory {memory.before} MiB before, {memory.after_each[-1]} MiB after",
        as_json=json,
    )
    return 0 if found.swaps == swaps and not found.failed + found.mismatched else 1


def _noisy(source: Path, folder: Path) -> Sequence[Path]:
    from eval.bench.models import noisy_checkpoint

    noisy_checkpoint(source, folder)
    return [source, folder]
