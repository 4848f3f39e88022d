"""What `train corner` would run: tokens of each training, and hours at a rate that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from train.experiment.corner.arms import MIXED, TRAINED, Corner, Run
from train.experiment.corner.driver import BASE_RUN, begin
from train.experiment.corner.models import lacks, recipe_for
from train.experiment.corner.results import CornerResult, read_corner
from train.loop.session import Say
from train.plan import plan
from train.recipe import Recipe
from train.recipe_parts import DataPart
from train.replay.output import read_card
from train.replay.recipes import OWN, kept_at, order_of, with_own_chats

RATE: Final = 450.0
"""Tokens a second of SmolLM2-135M, whole, in bfloat16, on two quiet cores with AVX-512 BF16."""
HOUR: Final = 3600


class Rates(NamedTuple):
    """tokens_per_s: of training. scoring_s: seconds of scoring a model, None where none was scored yet."""

    tokens_per_s: float
    scoring_s: float | None
    said: str


def rates_of(results: Sequence[CornerResult], given: float | None) -> Rates:
    """As given; else by the folder's own trainings; else RATE."""
    trainings = [result.training for result in results if result.training and result.training.seconds]
    scoring = sum(result.scoring_s for result in results) / len(results) if results else None
    if given:
        return Rates(given, scoring, "as given")
    if trainings:
        measured = sum(each.tokens for each in trainings) / sum(each.seconds for each in trainings)
        return Rates(measured, scoring, f"measured in {len(trainings)} trainings of this folder")
    return Rates(RATE, scoring, "measured with SmolLM2-135M on two cores with AVX-512 BF16; --rate gives another")


def planned(corner: Corner, runs: Iterable[Run], say: Say, rate: float | None = None) -> Iterator[str]:
    """A line a run, and their sum. Comments are written, nothing is run. Raises what `plan` raises."""
    begin(corner)
    results = read_corner(corner.folder)
    rates, done = rates_of(results, rate), {result.run for result in results}
    waiting = [run for run in [BASE_RUN, *runs] if run not in done]
    to_train = {run for run in waiting if run.arm in TRAINED and not lacks(corner, run)}
    total = scored = 0
    for run in waiting:
        reason = None if run == BASE_RUN or _follows(run, to_train) else lacks(corner, run)
        scored += reason is None
        if reason:
            yield f"skipped: {run}: {reason}"
        elif run in to_train:
            tokens, beside = _tokens(corner, run, say)
            total += tokens
            yield f"{run}: {tokens:,} tokens, {tokens / rates.tokens_per_s / HOUR:.1f} h of training{beside}"
        else:
            yield f"{run}: nothing to train, scored alone"
    hours = f"{total / rates.tokens_per_s / HOUR:.1f} h of training"
    yield f"in all {total:,} tokens, {hours} at {rates.tokens_per_s:.0f} tokens a second ({rates.said})"
    known = f"{scored * rates.scoring_s / HOUR:.1f} h" if rates.scoring_s is not None else "not measured yet"
    yield f"{scored} models to be scored: {known}"


def _follows(run: Run, to_train: set[Run]) -> bool:
    """Whether it is a mix of what is trained before it."""
    return run.arm in MIXED and Run(MIXED[run.arm].of, run.seed) in to_train


def _tokens(corner: Corner, run: Run, say: Say) -> tuple[int, str]:
    """Read and learned; and what is to be said of how they were counted."""
    recipe = recipe_for(corner, run)
    data, beside = _with_chats(corner, recipe, say)
    return plan(data, recipe.start, recipe.training, _quiet).tokens, beside


def _with_chats(corner: Corner, recipe: Recipe, say: Say) -> tuple[DataPart, str]:
    """The base's own chats are not made for a plan: public ones are counted in their place, or none."""
    data, cache = recipe.data, corner.folder / OWN
    own = [source for source in data.replay if source.self is not None]
    cards = [read_card(kept_at(order_of(source, data, corner.setting.base), cache)) for source in own]
    if all(card and card.is_finished for card in cards):
        return with_own_chats(data, recipe.start, cache, say), ""
    if not corner.chats:
        return replace(data, replay=[]), ", without its own chats, which are not made yet"
    files = [str(file) for file in corner.chats]
    counted = [source.model_copy(update={"self": None, "chats": files}) for source in own]
    return replace(data, replay=counted), ", its own chats, which are not made yet, counted by public ones"


def _quiet(_: str) -> None:
    """A plan's own reports are those of a training."""
