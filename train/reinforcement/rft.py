"""Reinforcement fine-tuning: a published checkpoint is asked, and what it answered better becomes likelier."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerState,
)

from taxonomy.checkpoint.manifest import Contents, Manifest, check_pair, publish_whole, read_manifest, verify
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid, ReinforcementRefused
from taxonomy.language.automaton import Automaton
from taxonomy.language.compiled import compiled
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens
from train.advice import known_of_reinforcement, warnings_of_reinforcement
from train.corpus.generator import fingerprint
from train.data.check import Report
from train.data.customers import Comments, comments_of
from train.loop.adapters import Model, adapted, keep_adapter, merged
from train.prepare import Say
from train.recipe import Reinforcement
from train.reinforcement.grpo import DecisionsGRPO, arguments_of
from train.reinforcement.reward import reward
from train.reinforcement.rollout import Asked, asked_of, sampled

ENOUGH: Final = 0.95
"""The success above which there is little left to learn from."""


class Baseline(NamedTuple):
    """What a checkpoint's own answers are worth: how many there were, the share of them that are wholly right (of a
    reward of 1), and their mean reward.
    """

    answers: int
    success: float
    reward: float


class Task(NamedTuple):
    """A checkpoint, and what it is to be asked."""

    manifest: Manifest
    tokenizer: PreTrainedTokenizerFast
    automaton: Automaton
    asked: list[Asked]
    data: dict[str, Any]


def reinforced(recipe: Reinforcement, out: Path, say: Say) -> Manifest:
    """Publish in `out` what the recipe's checkpoint becomes.

    Raises ReinforcementRefused where the baseline says that this cannot help, CheckpointInvalid, DataInvalid, OSError.
    """
    torch.manual_seed(recipe.seed)
    task = _task(recipe)
    model: Model = AutoModelForCausalLM.from_pretrained(recipe.reinforce, dtype=torch.float32)
    for warning in warnings_of_reinforcement(recipe, model.num_parameters()):
        say(f"mind: {warning}")
    say(f"answering {min(recipe.judged, len(task.asked))} comments {recipe.answers} times, for the baseline")
    before = baseline(model, task, recipe)
    say(f"baseline: {before.success:.1%} of the answers wholly right, mean reward {before.reward:.3f}")
    check_baseline(before)
    if recipe.adapter:
        model = adapted(model, recipe.adapter, recipe.seed)
    training = _fitted(recipe, model, task, out, say) | {"baseline": before._asdict()}

    def save(folder: Path) -> None:
        if recipe.adapter and recipe.adapter.keep:
            training["adapter"] = keep_adapter(model, folder)
        merged(model).to(getattr(torch, recipe.dtype)).save_pretrained(folder)
        task.tokenizer.save_pretrained(folder)

    return publish_whole(out, save, lambda contents: _manifest(recipe, task, training, contents))


def baseline(model: PreTrainedModel, task: Task, recipe: Reinforcement) -> Baseline:
    """Each of the first questions answered as often as in a step of the training, and sampled likewise."""
    judged = [one for one in task.asked[: recipe.judged] for _ in range(recipe.answers)]
    rewards: list[float] = []
    for some in _batches(judged, recipe.batch * recipe.answers // recipe.accumulate):
        samples = sampled(model, some, task.automaton)
        rewards += [reward(one.gold, sample.said) for one, sample in zip(some, samples, strict=True)]
    return Baseline(len(rewards), rewards.count(1.0) / len(rewards), statistics.mean(rewards))


def check_baseline(before: Baseline) -> None:
    """Raises ReinforcementRefused, naming the figure."""
    figure = f"{before.success:.1%} of {before.answers} answers are wholly right (mean reward {before.reward:.3f})"
    if before.success == 0:
        raise ReinforcementRefused(
            f"{figure}: there is no success to reinforce; fine-tune it on labelled comments first"
        )
    if before.success > ENOUGH:
        raise ReinforcementRefused(f"{figure}, over {ENOUGH:.0%}: there is too little left to learn")


def _task(recipe: Reinforcement) -> Task:
    folder, reports = Path(recipe.reinforce), dict[str, Report]()
    manifest = read_manifest(folder)
    verify(folder, manifest)
    comments = comments_of(recipe, reports)
    check_pair(manifest, comments.taxonomy)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = Tokens(tokenizer)
    prompt = Prompt(tokenizer, tokens, comments.taxonomy, manifest.prompt_style)
    chosen = _chosen(comments, recipe)
    asked = [asked_of(comment, tokens, prompt) for comment in chosen]
    data = {
        "train": {"comments": len(comments), "fingerprint": fingerprint(comments), "asked": len(chosen)},
        "checked": {name: report.counts() for name, report in reports.items()},
    }
    return Task(manifest, tokenizer, compiled(comments.taxonomy, tokens), asked, data)


def _chosen(comments: Comments, recipe: Reinforcement) -> list[LabelledComment]:
    """As many as the steps and the baseline ask, or all, in an order that depends on the seed alone."""
    if len(comments) < recipe.batch:
        raise DataInvalid(f"there are {len(comments)} comments that can be used, and a step asks {recipe.batch}")
    rng = random.Random(recipe.seed)
    wanted = min(len(comments), max(recipe.judged, recipe.steps * recipe.batch))
    numbers = set(rng.sample(range(len(comments)), wanted))
    chosen = [comment for number, comment in enumerate(comments) if number in numbers]
    rng.shuffle(chosen)
    return chosen


def _fitted(recipe: Reinforcement, model: Model, task: Task, out: Path, say: Say) -> dict[str, Any]:
    rate = recipe.learning_rate or known_of_reinforcement(recipe.adapter).learning_rate
    arguments = arguments_of(recipe, rate, out)
    trainer = DecisionsGRPO(model, arguments, task.tokenizer, task.asked, task.automaton)
    trainer.add_callback(_Told(say))
    started = time.monotonic()
    trainer.train()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    few = max(1, len(rewards) // 10)
    return {
        "seconds": round(time.monotonic() - started),
        "steps": recipe.steps,
        "learning_rate": rate,
        "reward": {"first": statistics.mean(rewards[:few]), "last": statistics.mean(rewards[-few:]), "steps": few},
        "torch": torch.__version__,
        "cores": os.cpu_count(),
    }


class _Told(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Says what each step's answers were worth."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def on_log(self, _: Any, state: TrainerState, __: Any, logs: dict[str, float], **___: Any) -> None:
        if "reward" in logs:
            self._say(f"step {state.global_step} of {state.max_steps}: mean reward {logs['reward']:.3f}")


def _manifest(recipe: Reinforcement, task: Task, training: dict[str, Any], contents: Contents) -> Manifest:
    return task.manifest.model_copy(
        update={
            "version": contents.version,
            "files": contents.files,
            "base_model": task.manifest.version,
            "recipe": recipe.model_dump(),
            "data": task.data,
            "training": training,
            "scores": {},
            "calibration": None,
            "decision": None,
            "fingerprint": None,
        }
    )


def _batches(asked: Sequence[Asked], size: int) -> Iterator[Sequence[Asked]]:
    for start in range(0, len(asked), size):
        yield asked[start : start + size]
