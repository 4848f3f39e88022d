"""The loss of supervised fine-tuning: at the learned positions only; logits are computed nowhere else."""

from __future__ import annotations

import copy

import torch
from torch.nn import functional
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from train.corpus.embeddings import Matrix
from train.data.batches import Batch
from train.recipe_parts import Architecture


def fresh_model(architecture: Architecture, vocabulary: int, pad: int, eos: int, seed: int) -> Qwen3ForCausalLM:
    """A Qwen3 decoder with random weights, tied embeddings, drawn from the seed."""
    torch.manual_seed(seed)
    heads = architecture.hidden // architecture.head
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=architecture.hidden,
        num_hidden_layers=architecture.layers,
        intermediate_size=architecture.intermediate,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=architecture.head,
        max_position_embeddings=architecture.context,
        tie_word_embeddings=True,
        pad_token_id=pad,
        eos_token_id=eos,
        bos_token_id=None,
        attn_implementation="sdpa",
    )
    return Qwen3ForCausalLM(config)


def set_embeddings(model: PreTrainedModel, vectors: Matrix) -> None:
    """Have the embeddings start as word vectors, at twice the length of fresh weights."""
    weight = model.get_input_embeddings().weight
    scaled = torch.from_numpy(vectors)
    scaled *= 2 * weight.detach().norm(dim=1).mean() / scaled.norm(dim=1).mean()
    with torch.no_grad():
        weight.copy_(scaled)


def logits_at(model: torch.nn.Module, decoder: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Logits in float32 (learned tokens, vocabulary) at the flat positions `at`; at no other are they computed.

    model: the decoder, or what wraps it (several processes, adapters), which is to see the whole call. The decoder's
    head gets the learned positions alone.
    """
    tokens, positions = batch["tokens"], batch.get("positions")
    if positions is not None and "flash" in decoder.config._attn_implementation:  # noqa: SLF001 (it has no public name)
        # Flash attention finds the boundaries between rows in a single sequence only.
        tokens, positions = tokens.reshape(1, -1), positions.reshape(1, -1)

    def learned_only(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (inputs[0].reshape(-1, inputs[0].shape[-1])[batch["at"]],)

    hook = decoder.get_output_embeddings().register_forward_pre_hook(learned_only)
    try:
        logits: torch.Tensor = model(input_ids=tokens, position_ids=positions, use_cache=False).logits.float()
    finally:
        hook.remove()
    return logits


class Anchor:
    """The base as it was: how far a model has moved from it on replay's tokens is a part of the loss."""

    def __init__(self, model: PreTrainedModel, weight: float) -> None:
        self.weight = weight
        self._base = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)

    @torch.no_grad()
    def log_probabilities(self, batch: Batch) -> torch.Tensor:
        """At replay's learned tokens: (learned tokens of replay, vocabulary)."""
        sequence, learned = batch["replay"].tolist()
        width = batch["tokens"].shape[1]
        replay = {"tokens": batch["tokens"][sequence:], "at": batch["at"][learned:] - sequence * width}
        if "positions" in batch:
            replay["positions"] = batch["positions"][sequence:]
        base = self._base.to(batch["tokens"].device)
        return functional.log_softmax(logits_at(base, base, replay), dim=-1)


def over_allowed(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The logits, those of the comments' learned tokens -inf but for what is allowed there, where the batch says so."""
    if "allowed" not in batch:
        return logits
    allowed = torch.zeros_like(logits)
    allowed[: int(batch["replay"][1])] = float("-inf")
    allowed[batch["allowed_of"], batch["allowed"]] = 0
    return logits + allowed


def loss_of(
    model: torch.nn.Module, decoder: PreTrainedModel, batch: Batch, anchor: Anchor | None = None
) -> torch.Tensor:
    """Cross-entropy at the learned tokens, over what is allowed where that is known; a sum over the pass, divided by a
    pass's even part of the step's tokens (`total`), so that the step's passes together give the mean of the step.
    """
    logits = logits_at(model, decoder, batch)
    first = int(batch["replay"][1])
    logits = over_allowed(logits, batch)
    loss = functional.cross_entropy(logits, batch["targets"], reduction="sum") / batch["total"]
    if anchor and first < len(logits):
        now = functional.log_softmax(logits[first:], dim=-1)
        moved = functional.kl_div(now, anchor.log_probabilities(batch), reduction="sum", log_target=True)
        loss = loss + anchor.weight * moved / batch["total"]
    return loss
