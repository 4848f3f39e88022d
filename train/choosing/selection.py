"""What a run needs to choose its own best weights: what looks on while it trains, and the choice after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, TrainerCallback

from eval.decoding.decoder import Decoder
from taxonomy.language.compiled import compiled
from taxonomy.language.prompt import Prompt, PromptStyle
from train.choosing.average import Tensors
from train.choosing.candidates import BASE, Judge, choose, saved_steps
from train.loop.distance import BaseDistance, probe_of
from train.loop.saved import SavedWeights, read_weights, weights_of
from train.prepare import Prepared, Say
from train.recipe import Recipe

SAVED: Final = "saved"
"""Where the weights of some steps lie in a run's folder, until its checkpoint is published."""


def watching(recipe: Recipe, prepared: Prepared, model: PreTrainedModel, folder: Path) -> list[TrainerCallback]:
    """What looks on while a model trains, made before its first step. folder: the run's."""
    steps = len(prepared.mixture)
    callbacks: list[TrainerCallback] = []
    if not recipe.is_fresh and recipe.exposures != 0:
        callbacks.append(BaseDistance(model, probe_of(prepared.mixture, prepared.tokens.eos), steps))
    if recipe.choose:
        callbacks.append(SavedWeights(model, saved_steps(recipe.choose, steps)[:-1], folder / SAVED))
    return callbacks


def best(recipe: Recipe, prepared: Prepared, model: PreTrainedModel, folder: Path, say: Say) -> dict[str, Any]:
    """Leave in a trained model the weights of its best candidate; gives what a manifest says of the choice.

    Nothing where the recipe asks for no choice.
    """
    if not (recipe.choose and prepared.validation):
        return {}
    steps = len(prepared.mixture)
    last = weights_of(model)

    def weights(step: int) -> Tensors:
        if step == BASE:
            return weights_of(AutoModelForCausalLM.from_pretrained(prepared.base, dtype=torch.float32))
        return last if step == steps else read_weights(folder / SAVED, step)

    taxonomy, tokens = prepared.comments.taxonomy, prepared.tokens
    prompt = Prompt(prepared.tokenizer, tokens, taxonomy, PromptStyle.LEARNED)
    decoder = Decoder(model, tokens, prompt, compiled(taxonomy, tokens))
    judge = Judge(decoder, prepared.tokenizer, prepared.validation)
    dtype = getattr(torch, recipe.dtype)
    return {"choice": choose(recipe.choose, steps, weights, judge, dtype, has_base=not recipe.is_fresh, say=say)}
