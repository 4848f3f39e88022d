"""Candidates of one run: its last weights and averages of saved ones, more or less far from the base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from eval.decoding.decoder import Decoder, answers
from eval.general.suite import Accuracy, score_suite
from eval.scoring.scores import score
from taxonomy.errors import RecipeInvalid
from train.choosing.average import Part, Tensors, combined
from train.choosing.choice import Figure, Scored, chosen, front
from train.choosing.validation import Validation
from train.loop.saved import put
from train.recipe import Choosing

BASE: Final = 0
"""The step whose weights are the base's."""
ROOM: Final = 8
"""Tokens that an answer may take beyond the longest right one."""


class Candidate(NamedTuple):
    """The mean of these steps' weights, `alpha` of the way from the base to them."""

    steps: tuple[int, ...]
    alpha: float = 1.0

    @property
    def name(self) -> str:
        whole = f"mean of {len(self.steps)}" if len(self.steps) > 1 else "last"
        return whole if self.alpha == 1 else f"{whole}, alpha {self.alpha:g}"

    @property
    def shares(self) -> dict[int, float]:
        """How much of each step's weights it is made of; they add up to one."""
        own = {step: self.alpha / len(self.steps) for step in self.steps}
        return own if self.alpha == 1 else own | {BASE: 1 - self.alpha}


def saved_steps(choosing: Choosing, steps: int) -> list[int]:
    """The steps whose weights are averaged, the run's last among them. Raises RecipeInvalid where it is too short."""
    every = choosing.every or max(1, steps // 20)
    first = steps - (choosing.last - 1) * every
    if first <= BASE:
        raise RecipeInvalid(
            f"choose: {choosing.last} saved weights, {every} steps apart, do not fit into a run of {steps} steps"
        )
    return list(range(first, steps + 1, every))


def candidates(choosing: Choosing, steps: int) -> list[Candidate]:
    """Of the last weights and, where several were saved, of their mean: one for each alpha."""
    saved = tuple(saved_steps(choosing, steps))
    made = [(steps,), saved] if len(saved) > 1 else [(steps,)]
    return [Candidate(of, alpha) for of in made for alpha in choosing.alphas]


@dataclass(frozen=True)
class Judge:
    """Scores the weights that its decoder's model holds, on the validation split."""

    decoder: Decoder
    tokenizer: PreTrainedTokenizerFast
    validation: Validation

    def scored(self, name: str) -> Scored:
        """On both axes, with 95% intervals: bootstrap over comments, and Wilson's over questions."""
        comments, questions = self.validation
        total = len(comments) + len(questions)
        with tqdm(total=total, unit=" answers", desc=name, leave=False) as progress:
            predicted = self.decoder.predict([(c.id, c.comment) for c in comments], watch=progress.update)
            found = score(comments, predicted)
            value, interval = found.leaf.f1, found.leaf_interval
            if value is None or interval is None:
                raise ValueError("the validation comments have no segment to be scored")
            return Scored(name, Figure(value, *interval), self._general(progress.update) if questions else None)

    def _general(self, watch: Callable[[int], object]) -> Figure:
        questions = self.validation.questions
        right = self.decoder.tokens.texts([question.answer for question in questions])
        said = answers(
            self.decoder.model,
            self.tokenizer,
            [question.question for question in questions],
            longest=max(map(len, right)) + ROOM,
            watch=watch,
        )
        accuracy: Accuracy = score_suite(questions, said)["all"]
        return Figure(accuracy.share, *accuracy.interval)


def choose(
    choosing: Choosing,
    steps: int,
    weights: Callable[[int], Tensors],
    judge: Judge,
    dtype: torch.dtype,
    *,
    has_base: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Score every candidate, and leave the chosen one's weights in the judge's model; gives the record of it.

    weights: of a step, float32; of BASE those that the run began with. They are scored as they will be published:
    rounded to `dtype`.
    """
    model: PreTrainedModel = judge.decoder.model.eval()

    def scored(name: str, shares: dict[int, float]) -> Scored:
        put(combined(Part(f"step {step}", weights(step), share) for step, share in shares.items()), model, dtype)
        one = judge.scored(name)
        say(f"{name}: {_told(one)}")
        return one

    base = scored("base", {BASE: 1.0}) if has_base else None
    made = candidates(choosing, steps)
    found = [scored(candidate.name, candidate.shares) for candidate in made]
    choice = chosen(found, base)
    say(f"chosen: {choice.name} ({choice.reason})")
    best = next(candidate for candidate in made if candidate.name == choice.name)
    put(combined(Part(f"step {s}", weights(s), share) for s, share in best.shares.items()), model, dtype)
    best_ones = {one.name for one in front(found)}
    return {
        "chosen": choice.name,
        "reason": choice.reason,
        "validation": judge.validation.as_json(),
        "base": base and _as_json(base),
        "candidates": [
            {"shares": {str(step): share for step, share in candidate.shares.items()}}
            | _as_json(one)
            | {"on_front": one.name in best_ones}
            for candidate, one in zip(made, found, strict=True)
        ],
    }


def _as_json(one: Scored) -> dict[str, Any]:
    return {"name": one.name, "leaf_f1": one.leaf.as_json(), "general": one.general and one.general.as_json()}


def _told(one: Scored) -> str:
    general = f", general accuracy {one.general.value:.3f}" if one.general else ""
    return f"leaf F1 {one.leaf.value:.3f}{general}"
