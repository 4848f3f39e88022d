"""What a run learns, one stage after the other: plain text first, where there is some, then the comments and replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from accelerate import PartialState
from transformers import TrainerCallback

from train.advice import settled, settled_for_texts, warnings
from train.choosing.selection import watching
from train.data.batches import Batches
from train.data.mixture import Mixture
from train.loop.adapters import Model, adapted, trained
from train.loop.fit import Fitted, fit
from train.loop.processes import is_sharded
from train.loop.session import Session
from train.loop.sft import Anchor
from train.prepare import Prepared
from train.recipe import Optimisation, Recipe


class Learned(NamedTuple):
    """What came of the stages: the model, perhaps with its adapter, and each one's figures."""

    model: Model
    training: dict[str, Any]


def fine_tuned(
    recipe: Recipe, prepared: Prepared, model: Model, session: Session, callbacks: Sequence[TrainerCallback]
) -> Learned:
    """Train through the recipe's stages; `callbacks` look on in each. Raises what `fit` raises."""
    parameters = model.num_parameters()
    optimisation = settled(recipe, parameters)
    for warning in warnings(recipe, parameters):
        session.say(f"mind: {warning}")
    # No process holds the whole of a sharded model, to look at it or save it.
    looking_on = [] if is_sharded() else watching(recipe, prepared, model, session.folder)
    anchor = Anchor(model, recipe.replay_kl) if recipe.replay_kl else None
    model = adapted(model, recipe.adapter, recipe.seed) if recipe.adapter else model
    session.say(f"training {trained(model) / 1e6:.2f} of {parameters / 1e6:.1f} M parameters; kept in {session.folder}")
    training: dict[str, Any] = {}
    for name, stage in _stages(recipe, prepared, optimisation, anchor):
        steps, rate = len(stage.data.mixture), stage.optimisation.learning_rate
        session.say(f"{steps} steps of {stage.optimisation.batch}, learning rate {rate:g}, {optimisation.precision}")
        place = session.stage(name) if name else session
        # What a run chooses among, and its distance from the base, are of the comments' stage.
        told = callbacks if name else [*callbacks, *looking_on]
        fitted = fit(model, stage.data, stage.optimisation, place, recipe.seed, anchor=stage.anchor, callbacks=told)
        model, figures = fitted.model, _figures(fitted, steps)
        training |= {name: figures} if name else figures
    training["precision"] = optimisation.precision
    return Learned(model, training)


class Stage(NamedTuple):
    """What is learned in one go, and how."""

    data: Batches
    optimisation: Optimisation
    anchor: Anchor | None = None


def _stages(
    recipe: Recipe, prepared: Prepared, optimisation: Optimisation, anchor: Anchor | None
) -> Iterator[tuple[str, Stage]]:
    """The run's stages in their order, each with its name; the main one has none."""

    def passes(mixture: Mixture) -> Batches:
        world, accumulate = PartialState().num_processes, optimisation.accumulate
        return Batches(mixture, prepared.tokens.eos, world=world, accumulate=accumulate, packing=recipe.packing)

    if recipe.cpt and prepared.cpt:
        yield "cpt", Stage(passes(prepared.cpt), settled_for_texts(recipe.cpt, optimisation))
    if not recipe.is_cpt_alone:
        yield "", Stage(passes(prepared.mixture), optimisation, anchor)


def _figures(fitted: Fitted, steps: int) -> dict[str, Any]:
    return {"seconds": round(fitted.seconds), "steps": steps, "loss": fitted.loss}
