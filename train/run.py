"""One training run, read downward: data, model, fit, publish."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path as FilePath
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from taxonomy.checkpoint import Manifest, hashes, publish, version_of
from taxonomy.errors import CallWrong
from taxonomy.prompt import PROMPT_VERSION, PromptStyle
from train.advice import settled, warnings
from train.average import average
from train.batches import Batches
from train.corpus import SEED, fingerprint
from train.customers import Comments, Generated
from train.embeddings import word_vectors
from train.prepare import Prepared, Say, prepare
from train.recipe import Average, Recipe
from train.sft import Anchor, begin_with, fit, fresh_model


def run(recipe: Recipe | Average, out: FilePath, say: Say) -> Manifest:
    """Train (or average) by the recipe and publish a checkpoint in `out`, which must be empty. Raises CallWrong."""
    if out.exists() and any(out.iterdir()):
        raise CallWrong(f"{out} is not empty; give another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)
    return average(recipe, out, say) if isinstance(recipe, Average) else _trained(recipe, out, say)


def _trained(recipe: Recipe, out: FilePath, say: Say) -> Manifest:
    # torch itself takes a thread for each physical core only.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    # Beside the checkpoint: it has to have room for the rows, and a machine's own folder for such may be memory.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        return _fitted(recipe, prepare(recipe, FilePath(folder), say), out, say)


def _fitted(recipe: Recipe, prepared: Prepared, out: FilePath, say: Say) -> Manifest:
    model = _model(recipe, prepared, say)
    optimisation = settled(recipe, model.num_parameters())
    for warning in warnings(recipe, model.num_parameters()):
        say(f"mind: {warning}")
    steps = len(prepared.mixture)
    data = Batches(
        prepared.mixture,
        prepared.tokens.eos,
        world=int(os.environ.get("WORLD_SIZE", "1")),
        accumulate=optimisation.accumulate,
        packing=recipe.packing,
    )
    say(f"training {model.num_parameters() / 1e6:.1f} M parameters for {steps} steps of {optimisation.batch}")
    anchor = Anchor(model, recipe.replay_kl) if recipe.replay_kl else None
    started = time.monotonic()
    figures = fit(model, data, optimisation, out, recipe.seed, anchor=anchor)
    seconds = time.monotonic() - started

    model.to(getattr(torch, recipe.dtype)).save_pretrained(out)
    prepared.tokenizer.save_pretrained(out)
    files = hashes(out)
    manifest = Manifest(
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
        training={"seconds": round(seconds), "steps": steps, "loss": figures["train_loss"], **_machine()},
    )
    publish(out, manifest)
    return manifest


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
