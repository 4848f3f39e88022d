"""Supervised fine-tuning: cross-entropy at the learned positions only; logits are computed nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM, Trainer, TrainingArguments

from train.embeddings import Matrix
from train.encode import Row, batches
from train.recipe import Architecture, Optimisation

Batch = dict[str, torch.Tensor]


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


def begin_with(model: PreTrainedModel, vectors: Matrix) -> None:
    """Let word vectors be what the embeddings begin with, at twice the length of fresh weights."""
    weight = model.get_input_embeddings().weight
    begun = torch.from_numpy(vectors)
    begun *= 2 * weight.detach().norm(dim=1).mean() / begun.norm(dim=1).mean()
    with torch.no_grad():
        weight.copy_(begun)


class Batches(Dataset[Batch]):
    """Whole batches in their final order; item i is step i."""

    def __init__(self, rows: Sequence[Row], size: int, pad: int, seed: int) -> None:
        self.rows, self.pad = rows, pad
        self.order = batches(rows, size, seed)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, step: int) -> Batch:
        rows = [self.rows[i] for i in self.order[step]]
        width = max(len(row.tokens) for row in rows)
        # Padding stands on the right: under causal attention no token sees it, so no mask is needed.
        tokens = torch.full((len(rows), width), self.pad, dtype=torch.long)
        at, wanted = [], []
        for i, row in enumerate(rows):
            tokens[i, : len(row.tokens)] = torch.from_numpy(row.tokens).long()
            at.append(torch.from_numpy(row.learned).long() - 1 + i * width)
            wanted.append(torch.from_numpy(row.tokens[row.learned]).long())
        batch = {"tokens": tokens, "at": torch.cat(at), "wanted": torch.cat(wanted)}
        rivals = [told for row in rows for told in row.rivals]
        if rivals:
            batch["rivals"] = torch.tensor([token for told in rivals for token in told])
            batch["rivals_of"] = torch.arange(len(rivals)).repeat_interleave(torch.tensor([len(t) for t in rivals]))
        return batch


class LearnedPositionsTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped to us
    """The Trainer with a loss over the learned positions alone."""

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: Batch,
        return_outputs: bool = False,
        **_: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        decoder = self.accelerator.unwrap_model(model)
        hidden = decoder.model(input_ids=inputs["tokens"], use_cache=False).last_hidden_state
        chosen = hidden.reshape(-1, hidden.shape[-1])[inputs["at"]]
        logits = decoder.lm_head(chosen)
        if "rivals" in inputs:
            rivals = torch.full_like(logits, float("-inf"))
            rivals[inputs["rivals_of"], inputs["rivals"]] = 0
            logits = logits + rivals
        loss = torch.nn.functional.cross_entropy(logits, inputs["wanted"])
        return (loss, {}) if return_outputs else loss


def fit(
    model: PreTrainedModel, data: Batches, optimisation: Optimisation, out: FilePath, seed: int
) -> dict[str, float]:
    """Train in place, one batch a step in the data's order; gives the run's figures (seconds, loss)."""
    arguments = TrainingArguments(
        output_dir=str(out),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        learning_rate=optimisation.learning_rate,
        warmup_steps=round(optimisation.warmup * len(data)),
        lr_scheduler_type="cosine",
        weight_decay=optimisation.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        seed=seed,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=0,
    )
    trainer = LearnedPositionsTrainer(model=model, args=arguments, train_dataset=data, data_collator=_only)
    result = trainer.train()
    return {key: float(value) for key, value in result.metrics.items()}


def _only(items: list[Batch]) -> Batch:
    """The data set's items are whole batches already."""
    (batch,) = items
    return batch
