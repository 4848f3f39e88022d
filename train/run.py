"""One training run, read downward: data, model, fit, publish."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel, TrainerCallback

from taxonomy.checkpoint.manifest import MANIFEST, Manifest, read_manifest
from taxonomy.errors import CallWrong
from train.advice import settled, warnings
from train.choosing.average import average
from train.choosing.selection import SAVED, observers
from train.loop.adapters import FOLDER, check_apart
from train.loop.processes import is_sharded, joined, run_on_main_process
from train.loop.session import SAVE_MINUTES, Say, Session, step_of
from train.loop.steps import STEPS, read_steps
from train.loop.stops import Stops
from train.models import starting_model
from train.prepare import Prepared, prepare
from train.publish import published
from train.recipe import AnyRecipe, Average, Recipe, Reinforcement
from train.recipe_parts import Choosing, DataPart, StartPart, TrainingPart
from train.record import RunRecord, check_same, differences, hash_of_weights, hashes_of_rows, keep
from train.replay.recipes import OWN, with_own_chats
from train.report.run_report import REPORT, write_report
from train.stages import fine_tuned


def run(
    recipe: AnyRecipe,
    out: Path,
    say: Say,
    *,
    resume: bool = False,
    save_minutes: float = SAVE_MINUTES,
    callbacks: Sequence[TrainerCallback] = (),
    cache: Path | None = None,
) -> Manifest:
    """Train (or average) by the recipe and publish a checkpoint in `out`, which must be empty.

    Beside it, in `out`.run, stands what the run keeps of itself. resume: go on with it from the state last saved.
    callbacks: as `fit` takes them. cache: where the base's own chats are kept for the next run; none: in `out`.run.
    Raises CallWrong, and what `with_own_chats`, `prepare` and `fit` raise.
    """
    processes = joined()
    say = say if processes.is_main_process else _silent
    with Stops(say) as stops:
        session = Session(out.with_name(f"{out.name}.run"), say, stops, resume=resume, save_minutes=save_minutes)
        if published := run_on_main_process(lambda: _published_already(recipe, out, session)):
            say(f"{out} is published already")
            return published
        if isinstance(recipe, Average):
            return run_on_main_process(lambda: average(recipe, out, say))
        if isinstance(recipe, Reinforcement):
            return _reinforced(recipe, out, session)
        return _fine_tuned(recipe, out, session, cache or session.folder / OWN, callbacks)


def _published_already(recipe: AnyRecipe, out: Path, session: Session) -> Manifest | None:
    """What a run that is to go on has published already. Raises CallWrong where nothing can be started in `out`."""
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


def _fine_tuned(
    recipe: Recipe, out: Path, session: Session, cache: Path, callbacks: Sequence[TrainerCallback]
) -> Manifest:
    if is_sharded():
        _check_sharded(recipe.training, recipe.choose)
    rows = session.folder / "rows"
    try:
        data = run_on_main_process(lambda: with_own_chats(recipe.data, recipe.start, cache, session.say))
        prepared = run_on_main_process(lambda: _prepared(data, recipe.start, rows, session))
        model = starting_model(recipe.start, prepared.tokenizer, prepared.comments, session.say)
        if recipe.publish == "delta":
            check_apart(model, prepared.own_tokens)
        run_on_main_process(lambda: _identify(session, _record(recipe, rows, model)))
        for warning in warnings(recipe.training, recipe.data, model.num_parameters()):
            session.say(f"mind: {warning}")
        looking_on = _observers(recipe.data, prepared, model, session.folder, is_fresh=recipe.is_fresh)
        tuned = fine_tuned(recipe.training, prepared, model, session, callbacks=callbacks, main_callbacks=looking_on)
        manifest = run_on_main_process(lambda: published(recipe, prepared, tuned, out, session))
    finally:
        if joined().is_main_process:
            _tidy(session.folder, rows)
    run_on_main_process(lambda: _finish(session, manifest))
    session.say(f"report: {session.folder / REPORT}")
    return manifest


def _observers(
    data: DataPart, prepared: Prepared, model: PreTrainedModel, folder: Path, *, is_fresh: bool
) -> list[TrainerCallback]:
    if is_sharded():
        # No process holds the whole of a sharded model, to look at it or save it.
        return []
    return observers(
        model,
        prepared.mixture,
        prepared.language.tokens.eos,
        folder,
        choosing=data.choose,
        logs_distance=not is_fresh and data.exposures != 0,
    )


def _reinforced(recipe: Reinforcement, out: Path, session: Session) -> Manifest:
    if session.resume or joined().num_processes > 1:
        raise CallWrong("a reinforcement runs in one process and from its beginning to its end: without --resume")
    from train.reinforcement.rft import reinforced  # noqa: PLC0415 (trl takes seconds to import)

    return reinforced(recipe, out, session.say)


def _check_sharded(training: TrainingPart, choosing: Choosing | None) -> None:
    """Raises CallWrong where the recipe asks for what FSDP does not take."""
    if training.adapter or (training.cpt and not training.is_cpt_alone):
        raise CallWrong(
            "FSDP takes neither an `adapter` nor two stages: launch without it, or make `cpt` a run of its own"
        )
    if choosing and choosing.last > 1:
        raise CallWrong("FSDP takes no averages of saved weights: launch without it, or leave out `choose.last`")


def _tidy(folder: Path, rows: Path) -> None:
    shutil.rmtree(rows, ignore_errors=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _prepared(data: DataPart, start: StartPart, rows: Path, session: Session) -> Prepared:
    """Rows are encoded anew in a run that goes on: their hash then proves the data, tokenizer and taxonomy."""
    shutil.rmtree(rows, ignore_errors=True)
    return prepare(data, start, rows, session.say)


def _record(recipe: Recipe, rows: Path, model: PreTrainedModel) -> RunRecord:
    return RunRecord(
        recipe=recipe.model_dump(mode="json"),
        rows=hashes_of_rows(rows),
        base=hash_of_weights(model),
        precision=settled(recipe.training, model.num_parameters()).precision,
        processes=joined().num_processes,
    )


def _identify(session: Session, record: RunRecord) -> None:
    """Raises CallWrong where the run that is to go on is another."""
    if session.resume and (state := session.last_state):
        check_same(session.folder, record)
        session.say(f"going on after step {step_of(state)}")
    else:
        keep(session.folder, record)


def _finish(session: Session, manifest: Manifest) -> None:
    """Once the checkpoint is published the run is reported, and what it was made of is of no use."""
    file = session.folder / STEPS
    # A run of `cpt` alone has no main stage.
    write_report(manifest, list(read_steps(file)) if file.exists() else [], session.folder)
    session.remove_states()
    for folder in (SAVED, FOLDER):
        shutil.rmtree(session.folder / folder, ignore_errors=True)


def _silent(_: str) -> None:
    """Only the main process reports."""
