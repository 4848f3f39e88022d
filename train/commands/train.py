"""`route-feedback train RECIPE`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong
from train.commands.progress import say
from train.loop.session import SAVE_MINUTES

if TYPE_CHECKING:
    from train.recipe import AnyRecipe


def command(
    recipe: Annotated[Path, typer.Argument(help="A YAML file (docs/recipes.md).")],
    out: Annotated[Path | None, typer.Option(help="A new or empty directory for the checkpoint.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan: tokens, steps, mix, memory; train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run in --out; one not started is started.")
    ] = False,
    save_minutes: Annotated[float, typer.Option(help="Of training between two saved states.")] = SAVE_MINUTES,
    fingerprint: Annotated[
        bool,
        typer.Option("--fingerprint", help="Record it at the end, through the serving engine (about a minute)."),
    ] = False,
    json: Json = False,
) -> None:
    """Make a checkpoint from a recipe: train RECIPE.yaml --out DIR."""
    from train.recipe import load_recipe

    asked = load_recipe(recipe)
    if dry_run:
        _plan(asked, as_json=json)
        return
    if out is None:
        raise CallWrong("say where the checkpoint goes with --out, or ask for --dry-run")
    from train.loop.processes import joined
    from train.run import run

    manifest = run(asked, out, say, resume=resume, save_minutes=save_minutes, cache=_cache())
    if not joined().is_main_process:
        return
    if fingerprint:
        _record_fingerprint(asked, out)
    else:
        say(f"before it can be activated: route-feedback checkpoint fingerprint {out}")
    text = f"{out}: published {manifest.version}"
    emit({"version": manifest.version, "training": manifest.training}, text, as_json=json)


def _plan(recipe: AnyRecipe, *, as_json: bool) -> None:
    from train.plan import plan, text
    from train.recipe import Average, Reinforcement
    from train.replay.recipes import with_own_chats

    if isinstance(recipe, Average):
        raise CallWrong("an average trains nothing, so there is nothing to plan")
    if isinstance(recipe, Reinforcement):
        raise CallWrong("what a reinforcement does depends on the answers it gets, so there is nothing to plan")
    data = with_own_chats(recipe.data, recipe.start, _cache(), say)
    planned = plan(data, recipe.start, recipe.training, say)
    emit(planned, text(planned), as_json=as_json)


def _cache() -> Path:
    """Where the chats stand that a base makes of itself, for runs and plans alike."""
    from serve.settings import load_settings
    from train.replay.recipes import OWN

    return load_settings(os.environ).cache / OWN


def _record_fingerprint(recipe: AnyRecipe, folder: Path) -> None:
    from serve.fingerprinting import fingerprinted
    from serve.settings import load_settings
    from train.recipe import Average
    from train.recipe_parts import LabelledFiles

    corpus = None if isinstance(recipe, Average) else recipe.corpus
    taxonomy = Path(corpus.taxonomy) if isinstance(corpus, LabelledFiles) else None
    found = fingerprinted(folder, load_settings(os.environ, taxonomy=taxonomy))
    say(f"fingerprint of {len(found.probes)} probes, recorded on {found.recorded_on}")
