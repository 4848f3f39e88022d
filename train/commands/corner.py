"""`route-feedback train corner`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from taxonomy.errors import CallWrong
from train.commands.progress import say

if TYPE_CHECKING:
    from train.experiment.corner.arms import Run

WRITTEN: Final = frozenset({"ifeval", "gsm8k", "mmlu_generative"})
"""General tasks whose answers are written out: hours without a GPU, so they are asked where they are named."""


def command(
    folder: Annotated[Path, typer.Argument(help="The experiment's own; what it has is kept.")],
    data: Annotated[Path, typer.Option(help="A folder with general tasks: arc/, piqa/, mmlu/ and so on.")],
    base: Annotated[str, typer.Option(help="A packaged base, a directory or a hub id.")] = "smollm2-135m-instruct",
    chats: Annotated[
        Path | None, typer.Option(help="Public chats: a file, or a folder of JSONL. None: arms that need some wait.")
    ] = None,
    comments: Annotated[int, typer.Option(min=1, help="That an arm learns.")] = 4_000,
    test_comments: Annotated[int, typer.Option(min=1, help="That it is asked.")] = 861,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            help="Of `eval general`, with commas between; those of --data without mmlu_generative, ifeval and gsm8k.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=2, help="The first so many questions of each task (of MMLU: each subject).")
    ] = None,
    arms: Annotated[
        list[str] | None,
        typer.Option(help="One of them, as docs/experiment.md names it; may be given several times. None: all."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each arm.")] = 1,
    precision: Annotated[
        Literal["bfloat16", "float32"], typer.Option(help="Of products, of weights that are kept, and of answers.")
    ] = "bfloat16",
    batch: Annotated[int, typer.Option(min=1, help="General questions at once.")] = 8,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be run and how long it takes.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Tokens a second, for --plan; by the folder's own trainings.")
    ] = None,
) -> None:
    """Fine-tune a pretrained base on comments in several ways, ask each both axes, and write tables and a picture.

    Hours a training on a small machine; what a folder has is kept, and a second call goes on.
    """
    from train.experiment.corner.arms import Corner, Setting
    from train.experiment.corner.driver import corner_experiment
    from train.experiment.corner.plan import planned
    from train.experiment.corner.report import REPORT, write_report

    setting = Setting(
        base=base,
        comments=comments,
        test_comments=test_comments,
        tasks=_tasks(data, tasks),
        limit=limit,
        precision=precision,
    )
    corner = Corner(folder, setting, data, _chat_files(chats), batch)
    runs = _runs(arms, seeds)
    if plan:
        for line in planned(corner, runs, say, rate):
            print(line, flush=True)
        return
    results = corner_experiment(corner, runs, say)
    write_report(results, folder)
    print(f"{folder / REPORT}: {len(results)} results")


def _runs(arms: list[str] | None, seeds: int) -> list[Run]:
    """Seed by seed. Raises CallWrong for an arm that there is not."""
    from train.experiment.corner.arms import ARMS, Run

    if unknown := set(arms or ()) - set(ARMS):
        raise CallWrong(f"there is no arm {', '.join(sorted(unknown))}; there are: {'; '.join(ARMS)}")
    return [Run(arm, seed) for seed in range(seeds) for arm in ARMS if arm in (arms or ARMS)]


def _tasks(data: Path, given: list[str] | None) -> tuple[str, ...]:
    """Raises CallWrong where one is not known, or none is left."""
    from eval.commands.options import chosen
    from eval.general.benchmarks import BENCHMARKS

    if not data.is_dir():
        raise CallWrong(f"--data {data} is no folder of general tasks")
    if given:
        return chosen("--tasks", given, list(BENCHMARKS))
    found = tuple(name for name, each in BENCHMARKS.items() if name not in WRITTEN and each.has_data(data))
    if not found:
        raise CallWrong(f"--data {data} holds the data of no general task that is asked without --tasks")
    return found


def _chat_files(given: Path | None) -> tuple[Path, ...]:
    """Raises CallWrong where there is none."""
    if given is None:
        return ()
    files = tuple(sorted(given.glob("*.jsonl"))) if given.is_dir() else (given,)
    if not files or not files[0].is_file():
        raise CallWrong(f"--chats {given}: there is no file of chats")
    return files
