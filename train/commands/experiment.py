"""`route-feedback train experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from taxonomy.errors import CallWrong
from train.commands.progress import say


def command(
    folder: Annotated[Path, typer.Argument(help="The experiment's own; what it has is kept.")],
    arms: Annotated[
        list[str] | None,
        typer.Option(
            help="One of them, as docs/experiment.md names it; may be given several times. None: all of them."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each arm.")] = 3,
    only: Annotated[
        Literal["voc", "clinc"] | None, typer.Option(help="The bundled corpus, or CLINC150. None: both.")
    ] = None,
    comments: Annotated[int, typer.Option(help="Comments that an arm sees.")] = 6_000,
    at_once: Annotated[int, typer.Option(help="Trainings at once, each with its part of the cores.")] = 1,
    base: Annotated[
        str | None,
        typer.Option(help="Begin from this one and make none: clinc or voc, as in docs/experiment.md, or a folder."),
    ] = None,
    gsm8k: Annotated[Path | None, typer.Option(help="A folder with GSM8K's train.jsonl and test.jsonl.")] = None,
    clinc: Annotated[
        Path | None, typer.Option(help="A folder with CLINC150's data_full.json and domains.json.")
    ] = None,
) -> None:
    """Fine-tune one small base by every recipe of docs/experiment.md, ask each both axes, and write table and picture.

    Hours on a small machine; what a folder has is kept, and a second call goes on.
    """
    from train.experiment.arms import ARMS
    from train.experiment.base import base_at
    from train.experiment.driver import experiment
    from train.experiment.report import write_report

    chosen = arms or list(ARMS)
    if unknown := set(chosen) - set(ARMS):
        raise CallWrong(f"there is no arm {', '.join(sorted(unknown))}; there are: {'; '.join(ARMS)}")
    results = experiment(
        folder,
        say,
        seeds=seeds,
        exposures=comments,
        at_once=at_once,
        arms=chosen,
        only=only,
        base=base_at(base) if base else None,
        gsm8k_folder=gsm8k,
        clinc_folder=clinc,
    )
    write_report(results, folder)
    print(f"{folder / 'experiment.md'}: {len(results)} results")
