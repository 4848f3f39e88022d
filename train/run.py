"""One training run, read downward: data, model, fit, publish."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from taxonomy.checkpoint.manifest import MANIFEST, Contents, Manifest, publish_whole, read_manifest
from taxonomy.errors import CallWrong
from taxonomy.language.prompt import PROMPT_VERSION, PromptStyle
from train.choosing.average import average
from train.choosing.selection import SAVED, best
from train.corpus.generator import SEED, fingerprint
from train.data.customers import Comments, Generated
from train.loop.adapters import FOLDER, keep_adapter, merged
from train.loop.processes import is_sharded, joined, led
from train.loop.session import SAVE_MINUTES, Session, step_of, writing
from train.loop.steps import STEPS, read_steps
from train.loop.stops import Stops
from train.models import begun
from train.prepare import Prepared, Say, prepare
from train.recipe import AnyRecipe, Average, Recipe, Reinforcement
from train.record import check_same, differences, keep, record
from train.report.run_report import REPORT, write_report
from train.stages import Learned, fine_tuned


def run(
    recipe: AnyRecipe,
    out: Path,
    say: Say,
    *,
    resume: bool = False,
    save_minutes: float = SAVE_MINUTES,
    callbacks: Sequence[TrainerCallback] = (),
) -> Manifest:
    """Train (or average) by the recipe and publish a checkpoint in `out`, which must be empty.

    Beside it, in `out`.run, stands what the run keeps of itself. resume: go on with it from the state last saved.
    callbacks: as `fit` takes them. Raises CallWrong, and what `prepare` and `fit` raise.
    """
    processes = joined()
    say = say if processes.is_main_process else _nobody
    with Stops(say) as stops:
        session = Session(out.with_name(f"{out.name}.run"), say, stops, resume=resume, save_minutes=save_minutes)
        if published := led(lambda: _published_already(recipe, out, session)):
            say(f"{out} is published already")
            return published
        if isinstance(recipe, Average):
            return led(lambda: average(recipe, out, say))
        if isinstance(recipe, Reinforcement):
            return _reinforced(recipe, out, session)
        return _trained(recipe, out, session, callbacks)


def _published_already(recipe: AnyRecipe, out: Path, session: Session) -> Manifest | None:
    """What a run that is to go on has published already. Raises CallWrong where nothing can be begun in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    if session.resume and (out / MANIFEST).is_file():
        manifest = read_manifest(out)
        if differing := differences(manifest.recipe, recipe.model_dump(mode="json")):
            raise CallWrong(f"{out} was published by another recipe: {'; '.join(differing)}; give another --out")
        if isinstance(recipe, Recipe):
            _finish(session, manifest)
        return manifest
    state = session.last_state
    if any(out.iterdir()) and not (session.resume and state):
        raise CallWrong(f"{out} is not empty; give another --out or remove it")
    if not session.resume and state:
        raise CallWrong(
            f"{session.folder} holds an unfinished run, saved after step {step_of(state)}: go on with --resume, or "
            "remove it to begin anew"
        )
    if not session.resume and (session.folder / STEPS).exists():
        raise CallWrong(f"{session.folder} is of an earlier run; remove it, or give another --out")
    return None


def _trained(recipe: Recipe, out: Path, session: Session, callbacks: Sequence[TrainerCallback]) -> Manifest:
    _check_sharded(recipe)
    rows = session.folder / "rows"
    try:
        prepared = led(lambda: _prepared(recipe, rows, session))
        model = begun(recipe, prepared, session.say)
        led(lambda: _identify(session, record(recipe, rows, model, joined().num_processes)))
        learned = fine_tuned(recipe, prepared, model, session, callbacks)
        manifest = led(lambda: _published(recipe, prepared, learned, out, session))
    finally:
        if joined().is_main_process:
            _tidy(session.folder, rows)
    led(lambda: _finish(session, manifest))
    session.say(f"report: {session.folder / REPORT}")
    return manifest


def _reinforced(recipe: Reinforcement, out: Path, session: Session) -> Manifest:
    if session.resume or joined().num_processes > 1:
        raise CallWrong("a reinforcement runs in one process and from its beginning to its end: without --resume")
    from train.reinforcement.rft import reinforced  # noqa: PLC0415 (trl takes seconds to import)

    return reinforced(recipe, out, session.say)


def _check_sharded(recipe: Recipe) -> None:
    if not is_sharded():
        return
    if recipe.adapter or (recipe.cpt and not recipe.is_cpt_alone):
        raise CallWrong(
            "FSDP takes neither an `adapter` nor two stages: launch without it, or make `cpt` a run of its own"
        )
    if recipe.choose and recipe.choose.last > 1:
        raise CallWrong("FSDP takes no averages of saved weights: launch without it, or leave out `choose.last`")


def _tidy(folder: Path, rows: Path) -> None:
    shutil.rmtree(rows, ignore_errors=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _prepared(recipe: Recipe, rows: Path, session: Session) -> Prepared:
    """Rows are encoded anew in a run that goes on: their hash then proves the data, tokenizer and taxonomy."""
    shutil.rmtree(rows, ignore_errors=True)
    return prepare(recipe, rows, session.say)


def _identify(session: Session, now: dict[str, Any]) -> None:
    """Raises CallWrong where the run that is to go on is another."""
    if session.resume and (state := session.last_state):
        check_same(session.folder, now)
        session.say(f"going on after step {step_of(state)}")
    else:
        keep(session.folder, now)


def _finish(session: Session, manifest: Manifest) -> None:
    """Once the checkpoint is published the run is told of, and what it was made of is of no use."""
    file = session.folder / STEPS
    # A run of `cpt` alone has no main stage.
    write_report(manifest, list(read_steps(file)) if file.exists() else [], session.folder)
    session.remove_states()
    for folder in (SAVED, FOLDER):
        shutil.rmtree(session.folder / folder, ignore_errors=True)


def _published(recipe: Recipe, prepared: Prepared, learned: Learned, out: Path, session: Session) -> Manifest:
    training = dict(learned.training)
    if recipe.adapter and recipe.adapter.keep:
        training["adapter"] = keep_adapter(learned.model, session.folder)
    model = merged(learned.model)
    training |= best(recipe, prepared, model, session.folder, session.say)

    def save(folder: Path) -> None:
        model.to(getattr(torch, recipe.dtype)).save_pretrained(folder)
        prepared.tokenizer.save_pretrained(folder)
        if "adapter" in training:
            shutil.copytree(session.folder / FOLDER, folder / FOLDER)

    with writing("the checkpoint", out):
        return publish_whole(out, save, lambda contents: _manifest(recipe, prepared, training, contents))


def _manifest(recipe: Recipe, prepared: Prepared, training: dict[str, Any], contents: Contents) -> Manifest:
    return Manifest(
        version=contents.version,
        files=contents.files,
        taxonomy=prepared.comments.taxonomy.version,
        prompt=PROMPT_VERSION,
        # Without a comment seen, the taxonomy has to stand in the prompt.
        prompt_style=PromptStyle.LEARNED if recipe.exposures != 0 else PromptStyle.IN_CONTEXT,
        base_model=prepared.origin,
        recipe=recipe.model_dump(),
        data={
            "train": _described(prepared.comments),
            "mix": prepared.mixture.as_json(),
            "checked": {name: report.counts() for name, report in prepared.reports.items()},
            "skipped": prepared.skipped,
        }
        | ({"cpt": prepared.cpt.as_json()["comments"]} if prepared.cpt else {}),
        training=training | _machine(),
    )


def _described(comments: Comments) -> dict[str, Any]:
    seed = {"seed": SEED} if isinstance(comments, Generated) else {}
    return {"comments": len(comments), "fingerprint": fingerprint(comments)} | seed


def _machine() -> dict[str, Any]:
    return {"torch": torch.__version__, "machine": platform.machine(), "cores": os.cpu_count()}


def _nobody(_: str) -> None:
    """Only the first process speaks."""
