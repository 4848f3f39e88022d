"""Reinforcement fine-tuning: a published checkpoint is asked, and what it answered better becomes likelier."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
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

from serve.routing.source import loadable
from serve.settings import cache_folder
from taxonomy.checkpoint.manifest import Contents, Manifest, check_pair, publish_whole, read_manifest, verify
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid, ReinforcementRefused
from taxonomy.language.automaton import Automaton
from taxonomy.language.language import language_of
from train.advice import known_of_reinforcement, warnings_of_reinforcement
from train.corpus.generator import fingerprint
from train.data.customers import Comments, comments_of
from train.loop.adapters import Model, adapted, keep_adapter, merged
from train.loop.session import Say
from train.recipe import Reinforcement
from train.reinforcement.grpo import DecisionsGRPO, arguments_of
from train.reinforcement.reward import reward
from train.reinforcement.rollout import PromptedComment, prompted, sampled

ENOUGH: Final = 0.95
"""The success above which there is little left to learn from."""


class Baseline(NamedTuple):
    """What a checkpoint's own answers are worth: how many there were, the share of them that are wholly right (of a
    reward of 1), and their mean reward.
    """

    answers: int
    success: float
    reward: float


class ReinforcementTask(NamedTuple):
    """A checkpoint, the comments that it is to answer, and what a manifest says of them."""

    manifest: Manifest
    tokenizer: PreTrainedTokenizerFast
    automaton: Automaton
    comments: list[PromptedComment]
    data: dict[str, dict[str, object]]


class RewardTrend(NamedTuple):
    """The mean reward of the first and of the last steps, and how many those are."""

    first: float
    last: float
    steps: int


@dataclass(frozen=True)
class ReinforcementFigures:
    """How a reinforcement went. adapter: hashes of the files of the adapter that is kept, none otherwise."""

    seconds: int
    steps: int
    learning_rate: float
    reward: RewardTrend
    torch: str
    cores: int | None
    baseline: Baseline
    adapter: dict[str, str] | None = None

    def as_json(self) -> dict[str, object]:
        """As a manifest has them, under `training`."""
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        named = {"reward": self.reward._asdict(), "baseline": self.baseline._asdict()}
        return {name: value for name, value in (stated | named).items() if value is not None}


def reinforced(recipe: Reinforcement, out: Path, say: Say) -> Manifest:
    """Publish in `out` what the recipe's checkpoint becomes.

    Raises ReinforcementRefused where the baseline says that this cannot help, CheckpointInvalid, DataInvalid, OSError.
    """
    torch.manual_seed(recipe.seed)
    task = task_of(recipe)
    whole = loadable(recipe.reinforce, cache_folder(os.environ))
    model: Model = AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32)
    for warning in warnings_of_reinforcement(recipe.learning_rate, recipe.adapter, model.num_parameters()):
        say(f"mind: {warning}")
    judged = task.comments[: recipe.judged]
    say(f"answering {len(judged)} comments {recipe.answers} times, for the baseline")
    at_once = recipe.batch * recipe.answers // recipe.accumulate
    before = baseline(model, judged, task.automaton, answers=recipe.answers, at_once=at_once)
    say(f"baseline: {before.success:.1%} of the answers wholly right, mean reward {before.reward:.3f}")
    check_baseline(before)
    if recipe.adapter:
        model = adapted(model, recipe.adapter, recipe.seed)
    figures = _fitted(recipe, model, task, before, folder=out, say=say)

    def save(folder: Path) -> None:
        nonlocal figures
        if recipe.adapter and recipe.adapter.keep:
            figures = replace(figures, adapter=keep_adapter(model, folder))
        merged(model).to(getattr(torch, recipe.dtype)).save_pretrained(folder)
        task.tokenizer.save_pretrained(folder)

    return publish_whole(out, save, lambda contents: _manifest(recipe.model_dump(), task, figures, contents))


def baseline(
    model: PreTrainedModel, comments: Sequence[PromptedComment], automaton: Automaton, *, answers: int, at_once: int
) -> Baseline:
    """Each of the comments answered so many times, and sampled as in a step of the training."""
    repeated = [comment for comment in comments for _ in range(answers)]
    rewards: list[float] = []
    for start in range(0, len(repeated), at_once):
        some = repeated[start : start + at_once]
        samples = sampled(model, some, automaton)
        rewards += [reward(comment.gold, sample.prediction) for comment, sample in zip(some, samples, strict=True)]
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


def task_of(recipe: Reinforcement) -> ReinforcementTask:
    """Raises CheckpointInvalid, DataInvalid, TaxonomyInvalid, OSError."""
    folder = Path(recipe.reinforce)
    manifest = read_manifest(folder)
    verify(folder, manifest)
    comments, report = comments_of(recipe.corpus, even=recipe.even, benchmarks=recipe.benchmarks)
    check_pair(manifest, comments.taxonomy)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    language = language_of(tokenizer, comments.taxonomy, manifest.form, manifest.prompt_style)
    if len(comments) < recipe.batch:
        raise DataInvalid(f"there are {len(comments)} comments that can be used, and a step asks {recipe.batch}")
    chosen = _chosen(comments, max(recipe.judged, recipe.steps * recipe.batch), recipe.seed)
    data: dict[str, dict[str, object]] = {
        "train": {"comments": len(comments), "fingerprint": fingerprint(comments), "asked": len(chosen)},
        "checked": {"comments": report.counts()} if report else {},
    }
    asked = [prompted(comment, language) for comment in chosen]
    return ReinforcementTask(manifest, tokenizer, language.automaton, asked, data)


def _chosen(comments: Comments, count: int, seed: int) -> list[LabelledComment]:
    """So many, or all, in an order that depends on the seed alone."""
    rng = random.Random(seed)
    numbers = set(rng.sample(range(len(comments)), min(len(comments), count)))
    chosen = [comment for number, comment in enumerate(comments) if number in numbers]
    rng.shuffle(chosen)
    return chosen


def _fitted(
    recipe: Reinforcement, model: Model, task: ReinforcementTask, before: Baseline, *, folder: Path, say: Say
) -> ReinforcementFigures:
    arguments = arguments_of(
        folder,
        steps=recipe.steps,
        batch=recipe.batch,
        answers=recipe.answers,
        accumulate=recipe.accumulate,
        learning_rate=recipe.learning_rate or known_of_reinforcement(recipe.adapter).learning_rate,
        kl=recipe.kl,
        seed=recipe.seed,
    )
    trainer = DecisionsGRPO(model, arguments, task.tokenizer, task.comments, task.automaton)
    trainer.add_callback(_RewardReporter(say))
    started = time.monotonic()
    trainer.train()
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    few = max(1, len(rewards) // 10)
    return ReinforcementFigures(
        seconds=round(time.monotonic() - started),
        steps=arguments.max_steps,
        learning_rate=arguments.learning_rate,
        reward=RewardTrend(statistics.mean(rewards[:few]), statistics.mean(rewards[-few:]), few),
        torch=torch.__version__,
        cores=os.cpu_count(),
        baseline=before,
    )


class _RewardReporter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Says what each step's answers were worth."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def on_log(self, _: Any, state: TrainerState, __: Any, logs: dict[str, float], **___: Any) -> None:
        if "reward" in logs:
            self._say(f"step {state.global_step} of {state.max_steps}: mean reward {logs['reward']:.3f}")


def _manifest(
    recipe: Mapping[str, object], task: ReinforcementTask, figures: ReinforcementFigures, contents: Contents
) -> Manifest:
    return task.manifest.model_copy(
        update={
            "version": contents.version,
            "files": contents.files,
            "base_model": task.manifest.version,
            "delta_of": None,
            "recipe": recipe,
            "data": task.data,
            "training": figures.as_json(),
            "scores": {},
            "calibration": None,
            "decision": None,
            "fingerprint": None,
        }
    )
