"""`route-feedback train bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json

from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from train.commands.progress import say


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe of comments alone.")],
    steps: Annotated[int, typer.Option(min=1, help="Timed steps of each training.")] = 8,
    rounds: Annotated[int, typer.Option(min=1)] = 4,
    packing: Annotated[int, typer.Option(min=1, help="Tokens of a packed sequence of ours.")] = 512,
    systems: Annotated[
        list[str] | None,
        typer.Option(help="trl, trl-packed, own or own-packed; may be given several times. None: all."),
    ] = None,
    forms: Annotated[
        bool, typer.Option("--forms", help="This trainer alone, on the same comments in each form of answers.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    json: Json = False,
) -> None:
    """Tokens a second of this trainer beside TRL's SFTTrainer, unpacked and packed.

    One model, the same rows and supervised tokens in the same steps, float32, in turn.
    """
    from train.bench import SYSTEMS, BenchSettings, bench, bench_forms, forms_table, table
    from train.recipe import Recipe, load_recipe

    asked, chosen = load_recipe(recipe), tuple(systems or SYSTEMS)
    if not isinstance(asked, Recipe):
        raise CallWrong(f"{recipe} is no recipe of a fine-tuning")
    if set(chosen) - set(SYSTEMS):
        raise CallWrong(f"--systems are of {', '.join(SYSTEMS)}")
    settings = BenchSettings(steps, rounds, packing, chosen)
    if forms:
        trained = bench_forms(asked, settings, say)
        shown = forms_table(trained)
    else:
        compared = bench(asked, settings, say)
        shown = table(compared)
    figures = trained if forms else compared
    if out:
        write_text(to_json(figures, indent=1).decode() + "\n", out)
    emit(figures, shown, as_json=json)
