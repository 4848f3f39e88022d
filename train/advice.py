"""What is known to work, by the size of the base: defaults, and warnings with their reasons outside of it.

The sources stand in docs/recipes.md. A range holds what published runs used; it says nothing of what lies beyond.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from train.recipe import Optimisation, Recipe

FRESH_LEARNING_RATE: Final = 1.5e-3


class Known(NamedTuple):
    """For bases of up to so many parameters: the learning rate to begin with, and the range of published runs."""

    parameters: float
    learning_rate: float
    low: float
    high: float
    source: str


FULL: Final = (
    Known(3e9, 2e-5, 9e-6, 3e-4, "InstructGPT 1.3B: 9.65e-6; SmolLM2 1.7B: 3e-4"),
    Known(15e9, 1e-5, 5e-6, 2e-5, "Tulu 3 8B: 5e-6; Llama 2 and Tulu 2: 2e-5"),
    Known(float("inf"), 5e-6, 1e-6, 1e-5, "the VOC study, 30B: 1e-6 to 1e-5; Tulu 3 70B: 2e-6; Tulu 2 70B: 1e-5"),
)
SMALLEST: Final = 1e8
"""Below so many parameters nothing published is known to us; the rate is to be swept."""
BATCHES: Final = (16, 128)
EXPOSURES: Final = (0.5, 5.0)
PASSES: Final = 4
REPLAY: Final = (0.01, 0.5)


def known(parameters: float) -> Known:
    """What holds for a base of this size."""
    return next(run for run in FULL if parameters <= run.parameters)


def settled(recipe: Recipe, parameters: int) -> Optimisation:
    """The recipe's optimisation with nothing left open."""
    if recipe.optimisation.learning_rate is not None:
        return recipe.optimisation
    rate = FRESH_LEARNING_RATE if recipe.is_fresh else known(parameters).learning_rate
    return recipe.optimisation.model_copy(update={"learning_rate": rate})


def warnings(recipe: Recipe, parameters: int) -> list[str]:
    """One line for each thing outside of the known-good range; none for a fresh model, which is no fine-tuning."""
    return [] if recipe.is_fresh else [*_of_rate(recipe, parameters), *_of_data(recipe)]


def _of_rate(recipe: Recipe, parameters: int) -> list[str]:
    rate, run = settled(recipe, parameters).learning_rate, known(parameters)
    if parameters < SMALLEST:
        return [f"{parameters / 1e6:.1f} M parameters: no published learning rate for so small a base; sweep it"]
    if rate is not None and not run.low <= rate <= run.high:
        return [f"learning rate {rate:g}: published runs of this size used {run.low:g} to {run.high:g} ({run.source})"]
    return []


def _of_data(recipe: Recipe) -> list[str]:
    said = []
    batch, exposures = recipe.optimisation.batch, recipe.exposures
    if not BATCHES[0] <= batch <= BATCHES[1]:
        said.append(f"batch {batch}: outside of 16 to 128 (the VOC study: 32, Llama 2: 64, Tulu 3: 128)")
    if exposures and not EXPOSURES[0] <= exposures <= EXPOSURES[1]:
        said.append(f"exposures {exposures:g}: outside of 0.5 to 5 (the VOC study: 0.58, Llama 2 and Tulu 3: 2)")
    if exposures != 0:
        said += _of_shares(sum(source.share for source in recipe.replay))
    said += [
        f"replay {source.name}: {source.passes:g} passes; beyond four, repeated data is worth little (Muennighoff 2023)"
        for source in recipe.replay
        if source.passes > PASSES
    ]
    return said


def _of_shares(shares: float) -> list[str]:
    if shares < REPLAY[0]:
        return ["no replay: it cost the VOC study 28 points of MMLU; 1% can be enough to forget little (Scialom 2022)"]
    if shares > REPLAY[1]:
        return [
            f"replay {shares:.0%}: more than the 0.5% to 50% of the runs known to us (Ibrahim 2024); it costs steps"
        ]
    return []
