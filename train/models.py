"""The model that a run starts with."""

from __future__ import annotations

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from taxonomy.language.tokens import Tokens
from train.base import base_model
from train.corpus.embeddings import word_vectors
from train.data.customers import Comments
from train.loop.session import Say
from train.loop.sft import fresh_model, set_embeddings
from train.recipe import StartPart


def starting_model(
    start: StartPart, tokenizer: PreTrainedTokenizerFast, comments: Comments, say: Say
) -> PreTrainedModel:
    """The base, or a fresh model whose embeddings may be word vectors of these comments; in float32.

    Raises CheckpointInvalid where the base's weights cannot be read.
    """
    if start.weights:
        return base_model(start.weights)
    shape = start.architecture
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, start.seed)
    if start.word_vectors:
        say("placing the embeddings")
        set_embeddings(model, word_vectors(comments, Tokens(tokenizer), len(tokenizer), shape.hidden, start.seed))
    return model
