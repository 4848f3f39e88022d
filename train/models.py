"""The model that a run starts with."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from taxonomy.language.tokens import Tokens
from train.corpus.embeddings import word_vectors
from train.data.customers import Comments
from train.loop.session import Say
from train.loop.sft import fresh_model, set_embeddings
from train.recipe import StartPart


def starting_model(
    start: StartPart, tokenizer: PreTrainedTokenizerFast, comments: Comments, say: Say
) -> PreTrainedModel:
    """The base, or a fresh model whose embeddings may be word vectors of these comments; in float32."""
    if start.weights:
        return AutoModelForCausalLM.from_pretrained(start.weights, dtype=torch.float32)
    shape = start.architecture
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, start.seed)
    if start.word_vectors:
        say("placing the embeddings")
        set_embeddings(model, word_vectors(comments, Tokens(tokenizer), len(tokenizer), shape.hidden, start.seed))
    return model
