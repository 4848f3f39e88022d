"""Candidates of one run: its last weights and averages of saved ones, more or less far from the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from eval.decoding.decoder import Decoder, answers
from eval.general.suite import Accuracy, score_suite
from eval.scoring.scores import score
from taxonomy.errors import RecipeInvalid
from train.choosing.average import WeightedTensors, combined
from train.choosing.choice import ScoredCandidate, chosen, front
from train.choosing.validation import Validation
from train.loop.saved import Tensors, put
from train.loop.session import Say
from train.recipe_parts import Choosing
from train.report.choice import BaseRecord, CandidateRecord, ChoiceRecord, Estimate

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
class CandidateScorer:
    """Scores the weights that its decoder's model holds, on the validation split."""

    decoder: Decoder
    tokenizer: PreTrainedTokenizerFast
    validation: Validation

    def scored(self, name: str) -> ScoredCandidate:
        """On both axes, with 95% intervals: bootstrap over comments, and Wilson's over questions."""
        comments, questions = self.validation
        total = len(comments) + len(questions)
        with tqdm(total=total, unit=" answers", desc=name, leave=False) as progress:
            predicted = self.decoder.predict([(c.id, c.comment) for c in comments], watch=progress.update)
            scores = score(comments, predicted)
            value, interval = scores.leaf.f1, scores.leaf_interval
            if value is None or interval is None:
                raise ValueError("the validation comments have no segment to be scored")
            leaf = Estimate(value=value, interval_95=interval)
            return ScoredCandidate(name, leaf, self._general(progress.update) if questions else None)

    def _general(self, watch: Callable[[int], object]) -> Estimate:
        questions = self.validation.questions
        right = self.decoder.language.tokens.texts([question.answer for question in questions])
        given = answers(
            self.decoder.model,
            self.tokenizer,
            [question.question for question in questions],
            longest=max(map(len, right)) + ROOM,
            watch=watch,
        )
        accuracy: Accuracy = score_suite(questions, given)["all"]
        return Estimate(value=accuracy.share, interval_95=accuracy.interval)


def choose(
    choosing: Choosing,
    steps: int,
    weights: Callable[[int], Tensors],
    scorer: CandidateScorer,
    dtype: torch.dtype,
    *,
    has_base: bool,
    say: Say,
) -> ChoiceRecord:
    """Score every candidate, and leave the chosen one's weights in the scorer's model; gives the record of it.

    weights: of a step, float32; of BASE those that the run began with. They are scored as they will be published:
    rounded to `dtype`.
    """
    model: PreTrainedModel = scorer.decoder.model.eval()

    def load(shares: Mapping[int, float]) -> None:
        put(combined(WeightedTensors(f"step {s}", weights(s), share) for s, share in shares.items()), model, dtype)

    def scored(name: str, shares: Mapping[int, float]) -> ScoredCandidate:
        load(shares)
        candidate = scorer.scored(name)
        say(f"{name}: {_line(candidate)}")
        return candidate

    base = scored("base", {BASE: 1.0}) if has_base else None
    made = candidates(choosing, steps)
    found = [scored(candidate.name, candidate.shares) for candidate in made]
    choice = chosen(found, base)
    say(f"chosen: {choice.name} ({choice.reason})")
    load(next(candidate for candidate in made if candidate.name == choice.name).shares)
    on_front = {candidate.name for candidate in front(found)}
    return ChoiceRecord(
        chosen=choice.name,
        reason=choice.reason,
        validation=scorer.validation.record(),
        base=BaseRecord(name=base.name, leaf_f1=base.leaf, general=base.general) if base else None,
        candidates=[
            CandidateRecord(
                shares=candidate.shares,
                name=candidate.name,
                leaf_f1=its.leaf,
                general=its.general,
                on_front=candidate.name in on_front,
            )
            for candidate, its in zip(made, found, strict=True)
        ],
    )


def _line(scored: ScoredCandidate) -> str:
    general = f", general accuracy {scored.general.value:.3f}" if scored.general else ""
    return f"leaf F1 {scored.leaf.value:.3f}{general}"
