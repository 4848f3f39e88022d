"""What is known to work, by the size of the base: defaults, and warnings with their reasons outside of it.

The sources stand in docs/recipes.md. A range holds what published runs used; it says nothing of what lies beyond.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch

from train.recipe_parts import Adapter, DataPart, Optimisation, Precision, Texts, TrainingPart

FRESH_LEARNING_RATE: Final = 1.5e-3


class KnownRuns(NamedTuple):
    """For bases of up to so many parameters: the learning rate to begin with, and the range of published runs."""

    parameters: float
    learning_rate: float
    low: float
    high: float
    source: str


FULL: Final = (
    KnownRuns(3e9, 2e-5, 9e-6, 3e-4, "InstructGPT 1.3B: 9.65e-6; SmolLM2 1.7B: 3e-4"),
    KnownRuns(15e9, 1e-5, 5e-6, 2e-5, "Tulu 3 8B: 5e-6; Llama 2 and Tulu 2: 2e-5"),
    KnownRuns(float("inf"), 5e-6, 1e-6, 1e-5, "the VOC study, 30B: 1e-6 to 1e-5; Tulu 3 70B: 2e-6; Tulu 2 70B: 1e-5"),
)
LORA: Final = (
    KnownRuns(15e9, 2e-4, 1e-5, 5e-4, "LoRA on GPT-2 and QLoRA 7B and 13B: 2e-4; Biderman 2024, 7B: 1e-5 to 5e-4"),
    KnownRuns(
        float("inf"), 1e-4, 1e-5, 2e-4, "QLoRA 33B and 65B: 1e-4; LoRA on GPT-3: 2e-4; the VOC study's vendor: 1e-5"
    ),
)
RFT: Final = KnownRuns(float("inf"), 1e-6, 3e-7, 1e-6, "DeepSeekMath 7B, DAPO 32B: 1e-6; Tulu 3 8B: 3e-7")
LORA_RFT: Final = KnownRuns(float("inf"), 1e-5, 3e-6, 1e-5, "Schulman 2025: ten times the rate of full weights")
SMALLEST: Final = 1e8
"""Below so many parameters nothing published is known to us; the rate is to be swept."""
BATCHES: Final = (16, 128)
EXPOSURES: Final = (0.5, 5.0)
PASSES: Final = 4
REPLAY: Final = (0.01, 0.5)


def known(parameters: float, adapter: Adapter | None = None) -> KnownRuns:
    """What holds for a base of this size, trained as a whole or through an adapter."""
    return next(run for run in (LORA if adapter else FULL) if parameters <= run.parameters)


def known_of_reinforcement(adapter: Adapter | None) -> KnownRuns:
    """What holds for reinforcement, whatever the size."""
    return LORA_RFT if adapter else RFT


def settled(training: TrainingPart, parameters: int) -> Optimisation:
    """The recipe's optimisation with nothing left open."""
    usual = FRESH_LEARNING_RATE if training.is_fresh else known(parameters, training.adapter).learning_rate
    stated = training.optimisation
    rate = usual if stated.learning_rate is None else stated.learning_rate
    return stated.model_copy(update={"learning_rate": rate, "precision": stated.precision or _precision()})


def _precision() -> Precision:
    return "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"


def settled_for_texts(source: Texts, optimisation: Optimisation) -> Optimisation:
    """The optimisation of the texts' stage; what it does not say itself is as for the comments."""
    rate = source.learning_rate or optimisation.learning_rate
    return optimisation.model_copy(update={"batch": source.batch, "learning_rate": rate})


def warnings(training: TrainingPart, data: DataPart, parameters: int) -> list[str]:
    """One line for each thing outside of the known-good range; none for a fresh model, which is no fine-tuning."""
    if training.is_fresh:
        return []
    of_data = [] if training.is_cpt_alone else _of_data(data)
    return [*_of_rates(training, parameters), *_of_texts(training), *of_data]


def warnings_of_reinforcement(learning_rate: float | None, adapter: Adapter | None, parameters: int) -> list[str]:
    """The same of a reinforcement."""
    return _of_rate("learning rate", learning_rate, parameters, known_of_reinforcement(adapter))


def _of_rates(training: TrainingPart, parameters: int) -> list[str]:
    run = known(parameters, training.adapter)
    found = _of_rate("learning rate", settled(training, parameters).learning_rate, parameters, run)
    if training.cpt and parameters >= SMALLEST:
        found += _of_rate("cpt: learning rate", training.cpt.learning_rate, parameters, run)
    return found


def _of_rate(name: str, rate: float | None, parameters: int, run: KnownRuns) -> list[str]:
    if parameters < SMALLEST:
        return [f"{parameters / 1e6:.1f} M parameters: no published learning rate for so small a base; sweep it"]
    if rate is not None and not run.low <= rate <= run.high:
        return [f"{name} {rate:g}: published runs of this size used {run.low:g} to {run.high:g} ({run.source})"]
    return []


def _of_texts(training: TrainingPart) -> list[str]:
    if not (training.cpt and training.adapter):
        return []
    return ["cpt through an adapter: it learned less than full weights from plain text (Biderman 2024)"]


def _of_data(data: DataPart) -> list[str]:
    found = []
    batch, exposures = data.batch, data.exposures
    if not BATCHES[0] <= batch <= BATCHES[1]:
        found.append(f"batch {batch}: outside of 16 to 128 (the VOC study: 32, Llama 2: 64, Tulu 3: 128)")
    if exposures and not EXPOSURES[0] <= exposures <= EXPOSURES[1]:
        found.append(f"exposures {exposures:g}: outside of 0.5 to 5 (the VOC study: 0.58, Llama 2 and Tulu 3: 2)")
    if exposures != 0:
        found += _of_shares(sum(source.share for source in data.replay))
    found += [
        f"replay {source.name}: {source.passes:g} passes; beyond four, repeated data is worth little (Muennighoff 2023)"
        for source in data.replay
        if source.passes > PASSES
    ]
    return found


def _of_shares(shares: float) -> list[str]:
    if shares < REPLAY[0]:
        return ["no replay: it cost the VOC study 28 points of MMLU; 1% can be enough to forget little (Scialom 2022)"]
    if shares > REPLAY[1]:
        return [
            f"replay {shares:.0%}: more than the 0.5% to 50% of the runs known to us (Ibrahim 2024); it costs steps"
        ]
    return []
