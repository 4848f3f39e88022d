"""The model that a run starts with."""

from __future__ import annotations

from typing import Final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import own_tokens
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.base import base_model
from train.corpus.embeddings import word_vectors
from train.data.customers import Comments
from train.loop.session import Say
from train.loop.sft import fresh_model, set_embeddings
from train.recipe import StartPart

SPREAD: Final = 0.1
"""How far a new row lies beside the mean of its text's, in the length of a mean row: 12 and 21 are the same digits."""


def starting_model(
    start: StartPart, form: Form, tokenizer: PreTrainedTokenizerFast, comments: Comments, say: Say
) -> PreTrainedModel:
    """The base, or a fresh model whose embeddings may be word vectors of these comments; in float32.

    Raises CheckpointInvalid where the base's weights cannot be read.
    """
    if start.weights:
        model = base_model(start.weights)
        if form.has_own_tokens and (count := place_own_tokens(model, Tokens(tokenizer), comments.taxonomy, start.seed)):
            say(f"{count} tokens of the answer's form begin at the mean of their texts")
        return model
    shape = start.architecture
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, start.seed)
    if start.word_vectors:
        say("placing the embeddings")
        set_embeddings(
            model, word_vectors(comments, Tokens(tokenizer), form, (len(tokenizer), shape.hidden), start.seed)
        )
    return model


@torch.no_grad()
def place_own_tokens(model: PreTrainedModel, tokens: Tokens, taxonomy: Taxonomy, seed: int) -> int:
    """Give the model a row for each token that it has none for, at the mean of its text's tokens. Gives their number.

    Rows that the model has are left as they are: those of an earlier taxonomy have been trained.
    """
    had = model.get_input_embeddings().num_embeddings
    new = {token: text for name, text in own_tokens(taxonomy).items() if (token := tokens.own(name) or 0) >= had}
    if not new:
        return 0
    model.resize_token_embeddings(max(new) + 1, mean_resizing=False)
    generator = torch.Generator().manual_seed(seed)
    for weight in _vocabularies(model):
        length = weight[:had].norm(dim=1).mean()
        for token, text in new.items():
            aside = torch.randn(weight.shape[1], generator=generator, dtype=weight.dtype)
            weight[token] = weight[tokens.text(f" {text}")].mean(dim=0) + SPREAD * length * aside / aside.norm()
    return len(new)


def _vocabularies(model: PreTrainedModel) -> list[torch.Tensor]:
    """The weights of the embeddings and of the head, which are one where they are tied."""
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [embeddings] if embeddings is head else [embeddings, head]
