"""One training run, read downward: data, model, fit, publish."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, TrainerCallback

from taxonomy.checkpoint import MANIFEST, Manifest, hashes, publish, read_manifest, version_of
from taxonomy.errors import CallWrong
from taxonomy.prompt import PROMPT_VERSION, PromptStyle
from train.advice import settled, warnings
from train.average import average
from train.batches import Batches
from train.corpus import SEED, fingerprint
from train.customers import Comments, Generated
from train.embeddings import word_vectors
from train.fit import Fitted, fit
from train.prepare import Prepared, Say, prepare
from train.processes import joined, led
from train.recipe import Average, Recipe
from train.record import check_same, differences, keep, record
from train.session import SAVE_MINUTES, Session, step_of, writing
from train.sft import Anchor, begin_with, fresh_model
from train.steps import STEPS
from train.stops import Stops


def run(
    recipe: Recipe | Average,
    out: FilePath,
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
        return _trained(recipe, out, session, callbacks)


def _published_already(recipe: Recipe | Average, out: FilePath, session: Session) -> Manifest | None:
    """What a run that is to go on has published already. Raises CallWrong where nothing can be begun in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    if session.resume and (out / MANIFEST).is_file():
        manifest = read_manifest(out)
        if differing := differences(manifest.recipe, recipe.model_dump(mode="json")):
            raise CallWrong(f"{out} was published by another recipe: {'; '.join(differing)}; give another --out")
        session.remove_states()
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


def _trained(recipe: Recipe, out: FilePath, session: Session, callbacks: Sequence[TrainerCallback]) -> Manifest:
    rows = session.folder / "rows"
    try:
        prepared = led(lambda: _prepared(recipe, rows, session))
        model = _model(recipe, prepared, session.say)
        led(lambda: _identify(session, record(recipe, rows, model, joined().num_processes)))
        fitted = _fitted(recipe, prepared, model, session, callbacks)
        manifest = led(lambda: _published(recipe, prepared, fitted, out))
    finally:
        if joined().is_main_process:
            _tidy(session.folder, rows)
    led(session.remove_states)
    return manifest


def _tidy(folder: FilePath, rows: FilePath) -> None:
    shutil.rmtree(rows, ignore_errors=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _prepared(recipe: Recipe, rows: FilePath, session: Session) -> Prepared:
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


def _fitted(
    recipe: Recipe, prepared: Prepared, model: PreTrainedModel, session: Session, callbacks: Sequence[TrainerCallback]
) -> Fitted:
    optimisation = settled(recipe, model.num_parameters())
    for warning in warnings(recipe, model.num_parameters()):
        session.say(f"mind: {warning}")
    data = Batches(
        prepared.mixture,
        prepared.tokens.eos,
        world=joined().num_processes,
        accumulate=optimisation.accumulate,
        packing=recipe.packing,
    )
    size = f"{model.num_parameters() / 1e6:.1f} M parameters"
    session.say(f"training {size} for {len(prepared.mixture)} steps of {optimisation.batch}; kept in {session.folder}")
    anchor = Anchor(model, recipe.replay_kl) if recipe.replay_kl else None
    return fit(model, data, optimisation, session, recipe.seed, anchor=anchor, callbacks=callbacks)


def _published(recipe: Recipe, prepared: Prepared, fitted: Fitted, out: FilePath) -> Manifest:
    # A process killed while it published has left some.
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with writing("the checkpoint", out):
        fitted.model.to(getattr(torch, recipe.dtype)).save_pretrained(out)
        prepared.tokenizer.save_pretrained(out)
        files = hashes(out)
        manifest = _manifest(recipe, prepared, fitted, files)
        publish(out, manifest)
    return manifest


def _manifest(recipe: Recipe, prepared: Prepared, fitted: Fitted, files: dict[str, str]) -> Manifest:
    training = {"seconds": round(fitted.seconds), "steps": len(prepared.mixture), "loss": fitted.loss}
    return Manifest(
        version=version_of(files),
        files=files,
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
        },
        training=training | _machine(),
    )


def _model(recipe: Recipe, prepared: Prepared, say: Say) -> PreTrainedModel:
    """The weights to begin with, in float32."""
    tokenizer, shape = prepared.tokenizer, recipe.architecture
    if prepared.base:
        return AutoModelForCausalLM.from_pretrained(prepared.base, dtype=torch.float32)
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, recipe.seed)
    if recipe.word_vectors:
        say("placing the embeddings")
        begin_with(model, word_vectors(prepared.comments, prepared.tokens, len(tokenizer), shape.hidden, recipe.seed))
    return model


def _described(comments: Comments) -> dict[str, Any]:
    seed = {"seed": SEED} if isinstance(comments, Generated) else {}
    return {"comments": len(comments), "fingerprint": fingerprint(comments)} | seed


def _machine() -> dict[str, Any]:
    return {"torch": torch.__version__, "machine": platform.machine(), "cores": os.cpu_count()}


def _nobody(_: str) -> None:
    """Only the first process speaks."""
