"""The model that a run begins with."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from train.corpus.embeddings import word_vectors
from train.loop.sft import begin_with, fresh_model
from train.prepare import Prepared, Say
from train.recipe import Recipe


def begun(recipe: Recipe, prepared: Prepared, say: Say) -> PreTrainedModel:
    """The recipe's base, or a fresh model, in float32."""
    tokenizer, shape = prepared.tokenizer, recipe.architecture
    if prepared.base:
        return AutoModelForCausalLM.from_pretrained(prepared.base, dtype=torch.float32)
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, recipe.seed)
    if recipe.word_vectors:
        say("placing the embeddings")
        begin_with(model, word_vectors(prepared.comments, prepared.tokens, len(tokenizer), shape.hidden, recipe.seed))
    return model
