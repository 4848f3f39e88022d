"""What a run needs to choose its own best weights: what looks on while it trains, and the choice after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback

from eval.decoding.decoder import Decoder
from taxonomy.language.language import Language
from train.choosing.candidates import BASE, CandidateScorer, choose, saved_steps
from train.choosing.validation import Validation
from train.data.mixture import Mixture
from train.loop.distance import BaseDistance, probe_of
from train.loop.saved import SavedWeights, Tensors, read_weights, weights_of
from train.loop.session import Say
from train.recipe_parts import Choosing
from train.report.choice import ChoiceRecord

SAVED: Final = "saved"
"""Where the weights of some steps lie in a run's folder, until its checkpoint is published."""


def observers(
    model: PreTrainedModel,
    mixture: Mixture,
    pad: int,
    folder: Path,
    *,
    choosing: Choosing | None,
    logs_distance: bool,
) -> list[TrainerCallback]:
    """What looks on while a model trains, made before its first step. folder: the run's.

    choosing: the weights of the steps that it asks for are saved. logs_distance: so is how far the model has moved.
    """
    callbacks: list[TrainerCallback] = []
    if logs_distance:
        callbacks.append(BaseDistance(model, probe_of(mixture, pad), len(mixture)))
    if choosing:
        callbacks.append(SavedWeights(model, saved_steps(choosing, len(mixture))[:-1], folder / SAVED))
    return callbacks


def scorer_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    language: Language,
    validation: Validation,
) -> CandidateScorer:
    """What scores the weights in `model`, decoding under the taxonomy's automaton."""
    return CandidateScorer(Decoder(model, language), tokenizer, validation)


def keep_best(
    choosing: Choosing,
    scorer: CandidateScorer,
    *,
    steps: int,
    begun: Callable[[], PreTrainedModel] | None,
    dtype: torch.dtype,
    folder: Path,
    say: Say,
) -> ChoiceRecord:
    """Leave in the scorer's model, trained for `steps`, the weights of its best candidate; gives the record of it.

    begun: the model that the run began with, made again; none where that was a fresh one. dtype: what is published.
    folder: the run's.
    """
    last = weights_of(scorer.decoder.model)

    def weights(step: int) -> Tensors:
        if begun and step == BASE:
            return weights_of(begun())
        return last if step == steps else read_weights(folder / SAVED, step)

    return choose(choosing, steps, weights, scorer, dtype, has_base=begun is not None, say=say)
