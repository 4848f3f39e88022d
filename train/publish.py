"""What came of a fine-tuning, published: the weights that it chose, the tokenizer, and the manifest."""

from __future__ import annotations

import json
import os
import platform
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from serve.routing.packaged import PACKAGED
from taxonomy.checkpoint.manifest import Contents, DeltaOf, Manifest, publish_whole
from taxonomy.files import write_text
from taxonomy.language.prompt import PromptStyle, prompt_version
from train.choosing.selection import keep_best, scorer_of
from train.corpus.generator import SEED, fingerprint
from train.data.customers import Comments, Generated
from train.data.mixture import Mixture
from train.loop.adapters import FOLDER, keep_adapter, merged, write_delta
from train.loop.session import Session, writing
from train.models import starting_model
from train.prepare import Prepared
from train.recipe import Recipe
from train.recipe_parts import Choosing
from train.report.choice import ChoiceRecord
from train.stages import FineTuned


def published(recipe: Recipe, prepared: Prepared, tuned: FineTuned, out: Path, session: Session) -> Manifest:
    """Publish in `out`. Raises WriteFailed, and what the scoring of candidates raises."""
    training, dtype = tuned.figures(), getattr(torch, recipe.dtype)
    if recipe.adapter and recipe.adapter.keep:
        training["adapter"] = keep_adapter(tuned.model, session.folder)
    delta = _delta_of(recipe)
    model = tuned.model if delta else merged(tuned.model)
    if recipe.choose:
        choice = _chosen(recipe, recipe.choose, model, prepared, session)
        training |= {"choice": choice.model_dump(mode="json")} if choice else {}

    def save(folder: Path) -> None:
        prepared.tokenizer.save_pretrained(folder)
        if delta:
            write_delta(model, folder, delta)
            _without_indents(folder / "tokenizer.json")
        else:
            model.to(dtype).save_pretrained(folder)
        if "adapter" in training:
            shutil.copytree(session.folder / FOLDER, folder / FOLDER)

    def manifest(contents: Contents) -> Manifest:
        return Manifest(
            version=contents.version,
            files=contents.files,
            taxonomy=prepared.comments.taxonomy.version,
            prompt=prompt_version(recipe.form),
            form=recipe.form,
            # Without a comment seen, the taxonomy has to stand in the prompt.
            prompt_style=PromptStyle.LEARNED if recipe.exposures != 0 else PromptStyle.IN_CONTEXT,
            base_model=prepared.origin,
            delta_of=delta,
            recipe=recipe.model_dump(),
            data=_data(prepared),
            training=training | _machine(),
        )

    with writing("the checkpoint", out):
        return publish_whole(out, save, manifest)


def _without_indents(file: Path) -> None:
    """Half of a tokenizer's file is spaces, a tenth of a small checkpoint."""
    content = json.loads(file.read_bytes())
    write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", file)


def _delta_of(recipe: Recipe) -> DeltaOf | None:
    if recipe.base is None or recipe.publish == "whole":
        return None
    return DeltaOf(base=recipe.base, digest=PACKAGED[recipe.base].digest, dtype=recipe.dtype)


def _chosen(
    recipe: Recipe, choosing: Choosing, model: PreTrainedModel, prepared: Prepared, session: Session
) -> ChoiceRecord | None:
    """Leave the best candidate's weights in the model; nothing where there is nothing to score them on."""
    if prepared.validation is None:
        return None
    return keep_best(
        choosing,
        scorer_of(model, prepared.tokenizer, prepared.language, prepared.validation),
        steps=len(prepared.mixture),
        begun=partial(starting_model, recipe.start, prepared.tokenizer, prepared.comments, session.say)
        if recipe.start.weights
        else None,
        dtype=getattr(torch, recipe.dtype),
        folder=session.folder,
        say=session.say,
    )


def _data(prepared: Prepared) -> dict[str, dict[str, Any]]:
    described = {
        "train": _described(prepared.comments),
        "mix": _as_json(prepared.mixture),
        "checked": {name: report.counts() for name, report in prepared.reports.items()},
        "skipped": prepared.skipped,
    }
    return described | ({"cpt": _as_json(prepared.cpt)["comments"]} if prepared.cpt else {})


def _as_json(mixture: Mixture) -> dict[str, Any]:
    return {name: source.model_dump() for name, source in mixture.realised().items()}


def _described(comments: Comments) -> dict[str, Any]:
    seed = {"seed": SEED} if isinstance(comments, Generated) else {}
    return {"comments": len(comments), "fingerprint": fingerprint(comments)} | seed


def _machine() -> dict[str, Any]:
    return {"torch": torch.__version__, "machine": platform.machine(), "cores": os.cpu_count()}
