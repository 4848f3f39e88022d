"""What a run learns, one stage after the other: plain text first, where there is some, then the comments and replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from accelerate import PartialState
from transformers import TrainerCallback

from train.advice import settled, settled_for_texts
from train.data.batches import Batches
from train.data.mixture import Mixture
from train.loop.adapters import Model, adapted, trained
from train.loop.fit import fit
from train.loop.session import Session
from train.loop.sft import Anchor
from train.prepare import Prepared
from train.recipe_parts import Optimisation, Precision, TrainingPart

CPT: Final = "cpt"
MAIN: Final = "main"
"""The comments' stage, with its replay."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """loss: the mean of all steps."""

    seconds: int
    steps: int
    loss: float


class FineTuned(NamedTuple):
    """What came of the stages: the model, perhaps with its adapter, and the figures of each that there was."""

    model: Model
    cpt: StageFigures | None
    main: StageFigures | None
    precision: Precision | None

    def figures(self) -> dict[str, Any]:
        """As a manifest has them, under `training`."""
        cpt = {"cpt": asdict(self.cpt)} if self.cpt else {}
        main = asdict(self.main) if self.main else {}
        return cpt | main | {"precision": self.precision}


def fine_tuned(
    training: TrainingPart,
    prepared: Prepared,
    model: Model,
    session: Session,
    *,
    callbacks: Sequence[TrainerCallback] = (),
    main_callbacks: Sequence[TrainerCallback] = (),
) -> FineTuned:
    """Train through the stages. Raises what `fit` raises.

    callbacks: called in each stage. main_callbacks: in the comments' stage alone, after those.
    """
    parameters = model.num_parameters()
    optimisation = settled(training, parameters)
    anchor = Anchor(model, training.replay_kl) if training.replay_kl else None
    model = adapted(model, training.adapter, training.seed, prepared.own_tokens) if training.adapter else model
    session.say(f"training {trained(model) / 1e6:.2f} of {parameters / 1e6:.1f} M parameters; kept in {session.folder}")
    figures: dict[str, StageFigures] = {}
    for stage in _stages(training, prepared, optimisation, anchor):
        steps, rate = len(stage.data.mixture), stage.optimisation.learning_rate
        session.say(f"{steps} steps of {stage.optimisation.batch}, learning rate {rate:g}, {optimisation.precision}")
        is_main = stage.name == MAIN
        fitted = fit(
            model,
            stage.data,
            stage.optimisation,
            session if is_main else session.stage(stage.name),
            training.seed,
            anchor=stage.anchor,
            callbacks=[*callbacks, *main_callbacks] if is_main else callbacks,
        )
        model = fitted.model
        figures[stage.name] = StageFigures(round(fitted.seconds), steps, fitted.loss)
    return FineTuned(model, figures.get(CPT), figures.get(MAIN), optimisation.precision)


class Stage(NamedTuple):
    """What is learned in one go, and how."""

    name: str
    data: Batches
    optimisation: Optimisation
    anchor: Anchor | None = None


def _stages(
    training: TrainingPart, prepared: Prepared, optimisation: Optimisation, anchor: Anchor | None
) -> Iterator[Stage]:
    """In their order."""

    def passes(mixture: Mixture) -> Batches:
        world, accumulate = PartialState().num_processes, optimisation.accumulate
        return Batches(
            mixture, prepared.language.tokens.eos, world=world, accumulate=accumulate, packing=training.packing
        )

    if training.cpt and prepared.cpt:
        yield Stage(CPT, passes(prepared.cpt), settled_for_texts(training.cpt, optimisation))
    if not training.is_cpt_alone:
        yield Stage(MAIN, passes(prepared.mixture), optimisation, anchor)
