"""The model that a run starts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from taxonomy.diff import diff
from taxonomy.formats.registry import load_taxonomy
from taxonomy.labels import LabelPath
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import label_token, own_tokens
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.base import base_model, base_tokenizer
from train.corpus.embeddings import word_vectors
from train.data.customers import Comments
from train.loop.session import Say
from train.loop.sft import fresh_model, set_embeddings
from train.recipe_parts import StartPart

SPREAD: Final = 0.1
"""How far a new row lies beside the mean of its text's, in the length of a mean row: 12 and 21 are the same digits."""


def starting_model(
    start: StartPart, tokenizer: PreTrainedTokenizerFast, comments: Comments, say: Say
) -> PreTrainedModel:
    """The base, or a fresh model whose embeddings may be word vectors of these comments; in float32.

    Raises CheckpointInvalid where the base's weights cannot be read.
    """
    if start.weights:
        model = base_model(start.weights)
        if start.form is Form.MARKED:
            before = load_taxonomy(start.trained_on) if start.trained_on else None
            known = base_tokenizer(start.weights).get_vocab()
            new = {name: text for name, text in own_tokens(comments.taxonomy).items() if name not in known}
            moved = moved_labels(before, comments.taxonomy) if before else {}
            place_tokens(model, Tokens(tokenizer), new, moved, start.seed)
            say(f"{len(new)} tokens of the answer's form begin where their texts are")
        return model
    shape = start.architecture
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, start.seed)
    if start.word_vectors:
        say("placing the embeddings")
        set_embeddings(
            model, word_vectors(comments, Tokens(tokenizer), start.form, (len(tokenizer), shape.hidden), start.seed)
        )
    return model


@torch.no_grad()
def place_tokens(
    model: PreTrainedModel, tokens: Tokens, new: Mapping[str, str], moved: Mapping[str, str], seed: int
) -> None:
    """Give the model a row for each new token, named with the text that it stands for: the mean of that text's tokens.

    moved: of a new token the one in whose place it stands now, whose row it begins with.
    """
    ids = {name: token for name in new if (token := tokens.own(name)) is not None}
    had = model.get_input_embeddings().num_embeddings
    if ids and max(ids.values()) >= had:
        model.resize_token_embeddings(max(ids.values()) + 1, mean_resizing=False)
    generator = torch.Generator().manual_seed(seed)
    for weight in _vocabularies(model):
        length = weight[: min([had, *ids.values()])].norm(dim=1).mean()
        for name, token in ids.items():
            aside = torch.randn(weight.shape[1], generator=generator, dtype=weight.dtype)
            at = tokens.own(moved[name]) if name in moved else None
            mean = weight[tokens.text(f" {new[name]}")].mean(dim=0)
            weight[token] = mean + SPREAD * length * aside / aside.norm() if at is None else weight[at]


def moved_labels(before: Taxonomy, taxonomy: Taxonomy) -> dict[str, str]:
    """Of the token of each label that has another path now, the one that it had; of an area, where all of it moved."""
    moved: dict[LabelPath, set[LabelPath]] = {}
    for old, new in diff(before, taxonomy).moved.items():
        moved.setdefault(new, set()).add(old)
        for level in range(1, min(len(old), len(new))):
            moved.setdefault(new[:level], set()).add(old[:level])
    return {label_token(new): label_token(*old) for new, old in moved.items() if len(old) == 1}


def _vocabularies(model: PreTrainedModel) -> list[torch.Tensor]:
    """The weights of the embeddings and of the head, which are one where they are tied."""
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [embeddings] if embeddings is head else [embeddings, head]
