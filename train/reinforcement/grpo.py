"""TRL's GRPO with the serving policy: at a decision a softmax over what is allowed there, elsewhere no choice."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, PrinterCallback

from taxonomy.language.automaton import Automaton
from train.data.batches import collate
from train.data.encode import TrainingRow
from train.loop.adapters import Model
from train.loop.sft import logits_at, over_allowed
from train.reinforcement.reward import reward
from train.reinforcement.rollout import PromptedComment, Sample, decisions_of, sampled

with warnings.catch_warnings():
    # TRL's client for vLLM, which is not used here, says at import which vLLM it knows.
    warnings.simplefilter("ignore")
    from trl import GRPOConfig, GRPOTrainer


def arguments_of(
    folder: Path,
    *,
    steps: int,
    batch: int,
    answers: int,
    accumulate: int,
    learning_rate: float,
    kl: float,
    seed: int,
) -> GRPOConfig:
    """A recipe's values in TRL's words; what they do not say is as TRL has it.

    batch: comments of a step. answers: to each comment. accumulate: passes that a step is computed in.
    """
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch * answers // accumulate,
        gradient_accumulation_steps=accumulate,
        num_generations=answers,
        learning_rate=learning_rate,
        lr_scheduler_type="constant",
        beta=kl,
        adam_beta2=0.95,
        seed=seed,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )


class DecisionsGRPO(GRPOTrainer):  # type: ignore[misc]  # trl is untyped to us
    """Answers are sampled under the automaton, and only their decisions are learned from."""

    def __init__(
        self,
        model: Model,
        arguments: GRPOConfig,
        tokenizer: PreTrainedTokenizerFast,
        comments: Sequence[PromptedComment],
        automaton: Automaton,
    ) -> None:
        self._comments, self._automaton = comments, automaton
        self._by_prompt = {tuple(comment.prompt): comment for comment in comments}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
            super().__init__(
                model=model,
                reward_funcs=hierarchical_f1,
                args=arguments,
                # TRL hands prompts on as they are: here each is a comment's number.
                train_dataset=Dataset.from_dict({"prompt": [str(number) for number in range(len(comments))]}),
                processing_class=tokenizer,
                rollout_func=self._rollout,
            )
        self.remove_callback(PrinterCallback)

    def _rollout(self, prompts: Sequence[str], _: GRPOTrainer) -> dict[str, Any]:
        comments = [self._comments[int(prompt)] for prompt in prompts]
        samples = sampled(self.accelerator.unwrap_model(self.model), comments, self._automaton)
        pairs = list(zip(comments, samples, strict=True))
        return {
            "prompt_ids": [comment.prompt for comment in comments],
            "completion_ids": [sample.tokens for sample in samples],
            "logprobs": None,
            # TRL's mask of what an environment wrote: what the grammar forced was not the model's doing either.
            "env_mask": [self._decision_mask(comment, sample) for comment, sample in pairs],
            "rewards": [reward(comment.gold, sample.prediction) for comment, sample in pairs],
        }

    def _decision_mask(self, comment: PromptedComment, sample: Sample) -> list[int]:
        """1 at the answer's decisions, 0 at its other tokens."""
        at = [decision.at for decision in decisions_of(comment, sample.tokens, self._automaton)]
        mask: list[int] = np.bincount(at, minlength=len(sample.tokens)).tolist()
        return mask

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Of each token of the answers, (rows, logits_to_keep); both are 0 where there was nothing to decide."""
        logps, entropies = torch.zeros(2, *input_ids.shape, device=input_ids.device)
        begins = attention_mask.argmax(dim=1).tolist()  # prompts are padded on the left, answers on the right
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            chosen = range(start, min(start + size, len(input_ids)))
            rows = [self._row(input_ids[i], attention_mask[i].bool(), logits_to_keep) for i in chosen]
            likely, uncertain = self._policy(model, rows)
            at = (
                torch.tensor([i for i, row in zip(chosen, rows, strict=True) for _ in row.learned]),
                torch.tensor([begins[i] + k for i, row in zip(chosen, rows, strict=True) for k in row.learned]),
            )
            logps = logps.index_put(at, likely)
            entropies = entropies.index_put(at, uncertain)
        answers = slice(input_ids.shape[1] - logits_to_keep, None)
        return logps[:, answers], entropies[:, answers] if compute_entropy else None, None

    def _row(self, tokens: torch.Tensor, mask: torch.Tensor, answer: int) -> TrainingRow:
        """A prompt and its answer without padding: the decisions are learned, each over what was allowed."""
        begins = int(mask[:-answer].sum())
        kept = tokens[mask].tolist()
        decisions = list(decisions_of(self._by_prompt[tuple(kept[:begins])], kept[begins:], self._automaton))
        learned = np.array([begins + decision.at for decision in decisions], np.int32)
        allowed = tuple(np.array(decision.allowed, np.int32) for decision in decisions)
        return TrainingRow(np.array(kept, np.int32), learned, allowed)

    def _policy(self, model: torch.nn.Module, rows: Sequence[TrainingRow]) -> tuple[torch.Tensor, torch.Tensor]:
        """At every decision of the rows the log-probability of what was decided, and the entropy (for logs alone)."""
        batch = {name: value.to(self.accelerator.device) for name, value in collate(rows, [], pad=0).items()}
        logits = logits_at(model, self.accelerator.unwrap_model(model), batch)
        among = functional.log_softmax(over_allowed(logits, batch), dim=-1)
        likely = among.gather(1, batch["targets"][:, None])[:, 0]
        return likely, torch.special.entr(among.detach().exp()).sum(dim=-1)


def hierarchical_f1(rewards: list[float], **_: Any) -> list[float]:
    """The reward of each answer, as the rollout has found it."""
    return rewards
