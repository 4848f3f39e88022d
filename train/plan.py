"""What a run would do, before any weight is loaded: tokens, steps, mix, memory, and what to mind."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch
from transformers import AutoModelForCausalLM

from taxonomy.language.forms import Form
from train.advice import settled, settled_for_texts, warnings
from train.base import base_config
from train.choosing.candidates import candidates
from train.choosing.validation import Validation
from train.data.batches import Batch, Batches
from train.data.mixture import MixedSource, Mixture
from train.loop.adapters import adapted, trained
from train.loop.session import Say
from train.loop.sft import fresh_model
from train.prepare import prepare
from train.recipe_parts import Choosing, DataPart, Optimisation, Precision, StartPart, Texts, TrainingPart

BYTES_A_WEIGHT: Final = 4
"""Float32."""
BYTES_OF_TRAINING: Final = 12
"""Of each trained weight: its gradient and Adam's two moments (Rajbhandari et al. 2020)."""
GIB: Final = 2**30
MUCH_PADDING: Final = 0.25
"""Of what is computed: more is worth a word."""


class ModelShape(NamedTuple):
    """A model's size. trained: of its parameters and those of an adapter, the ones that are trained."""

    parameters: int
    trained: int
    layers: int
    hidden: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class PassShape:
    """A forward pass: sequences of so many tokens, padding too; `learned`: at how many of them logits are computed."""

    sequences: int
    width: int
    learned: int

    @property
    def tokens(self) -> int:
        return self.sequences * self.width


class StagePasses(NamedTuple):
    """What a stage computes. largest: the pass with the most tokens. computed: tokens of all passes, with padding."""

    largest: PassShape
    computed: int


@dataclass(frozen=True, slots=True)
class TextsPlan:
    """The stage before the comments. tokens: supervised ones. batch: rows of a step."""

    steps: int
    tokens: int
    batch: int
    learning_rate: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Estimates, in GiB."""

    weights_and_optimiser: float
    activations: float


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """The candidates' names, and what they are scored on."""

    comments: int
    fingerprint: str
    questions: int
    candidates: list[str]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a run would do. tokens: read and learned. padding: its share of what is computed.

    checked: what was found in files, by source. mind: what a person should look at before training.
    """

    parameters: int
    trained: int
    cpt: TextsPlan | None
    steps: int
    tokens: int
    padding: float
    mix: dict[str, MixedSource]
    optimisation: Optimisation
    checked: dict[str, dict[str, int]]
    largest_pass: PassShape
    memory_gib: Memory
    choice: ChoicePlan | None
    mind: list[str]


def plan(data: DataPart, start: StartPart, training: TrainingPart, say: Say) -> TrainingPlan:
    """Everything is encoded, exactly as for the run; only the weights are left out. Raises what `prepare` raises."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(data, start, Path(folder), say)
        shape = _shape(start, training, len(prepared.tokenizer), prepared.own_tokens)
        optimisation = settled(training, shape.parameters)
        mixtures = [prepared.cpt] if prepared.cpt else []
        mixtures += [] if training.is_cpt_alone else [prepared.mixture]
        passes = [_passes(m, prepared.language.tokens.eos, optimisation.accumulate, training.packing) for m in mixtures]
        largest = max((each.largest for each in passes), key=lambda each: each.tokens)
        padding = 1 - sum(map(_tokens, mixtures)) / sum(each.computed for each in passes)
        return TrainingPlan(
            parameters=shape.parameters,
            trained=shape.trained,
            cpt=_of_texts(training.cpt, prepared.cpt, optimisation),
            steps=len(prepared.mixture),
            tokens=_tokens(prepared.mixture),
            padding=padding,
            mix=prepared.mixture.realised(),
            optimisation=optimisation,
            checked={name: report.counts() for name, report in prepared.reports.items()},
            largest_pass=largest,
            memory_gib=_memory(shape, largest, optimisation.precision, anchored=training.replay_kl > 0),
            choice=_choice(data.choose, prepared.validation, len(prepared.mixture)),
            mind=[*warnings(training, data, shape.parameters), *_of_padding(padding, training.packing)],
        )


def text(planned: TrainingPlan) -> str:
    """The plan for a person."""
    optimisation, largest, memory = planned.optimisation, planned.largest_pass, planned.memory_gib
    rate = f"learning rate {optimisation.learning_rate:g}, {optimisation.precision}"
    lines = [f"{planned.parameters / 1e6:.1f} M parameters, {planned.trained / 1e6:.2f} M trained"]
    if cpt := planned.cpt:
        lines.append(f"{cpt.steps} steps of {cpt.batch} rows of text, learning rate {cpt.learning_rate:g}; then")
    lines += [
        f"{planned.steps} steps of {optimisation.batch} rows, {rate}",
        f"{planned.tokens} tokens in all; {planned.padding:.0%} of what is computed is padding",
        f"{'source':<20}{'supervised tokens':>18}{'share':>9}{'asked':>9}{'rows':>9}{'of':>9}",
    ]
    for name, source in planned.mix.items():
        asked = "-" if source.asked is None else f"{source.asked:.2%}"
        capped = "  capped" if source.capped else ""
        figures = f"{source.tokens:>18}{source.share:>9.2%}{asked:>9}{source.rows:>9}{source.of:>9}"
        lines.append(f"{name:<20}{figures}{capped}")
    lines.append(
        f"memory, estimated: {memory.weights_and_optimiser:.2f} GiB for weights and optimiser, "
        f"{memory.activations:.2f} GiB for a pass of {largest.sequences} sequences of {largest.width} tokens"
    )
    if choice := planned.choice:
        lines.append(
            f"then {len(choice.candidates)} candidates, scored on {choice.comments} comments and "
            f"{choice.questions} questions: {'; '.join(choice.candidates)}"
        )
    return "\n".join([*lines, *(f"mind: {line}" for line in planned.mind)])


def _choice(choosing: Choosing | None, validation: Validation | None, steps: int) -> ChoicePlan | None:
    if not (choosing and validation):
        return None
    names = [candidate.name for candidate in candidates(choosing, steps)]
    return ChoicePlan(**validation.record().model_dump(), candidates=names)


def _shape(start: StartPart, training: TrainingPart, vocabulary: int, own: Sequence[int]) -> ModelShape:
    """From the configuration alone."""
    with torch.device("meta"):
        if start.weights:
            model = AutoModelForCausalLM.from_config(base_config(start.weights))
            if start.form is Form.MARKED and own:
                model.resize_token_embeddings(max(model.config.vocab_size, max(own) + 1), mean_resizing=False)
        else:
            model = fresh_model(start.architecture, vocabulary, pad=0, eos=0, seed=0)
        parameters, config = model.num_parameters(), model.config
        learned = trained(adapted(model, training.adapter, training.seed, own) if training.adapter else model)
    return ModelShape(parameters, learned, config.num_hidden_layers, config.hidden_size, config.vocab_size)


def _of_texts(texts: Texts | None, mixture: Mixture | None, optimisation: Optimisation) -> TextsPlan | None:
    """The stage before the comments, where there is one."""
    if not (texts and mixture):
        return None
    own = settled_for_texts(texts, optimisation)
    return TextsPlan(len(mixture), mixture.realised()["comments"].tokens, own.batch, own.learning_rate)


def _tokens(mixture: Mixture) -> int:
    """All tokens of the run, read and learned."""
    total = 0
    for number in range(len(mixture)):
        step = mixture.step(number)
        total += int(mixture.comments.tokens.lengths_of(step.comments).sum())
        total += sum(
            int(drawn.rows.tokens.lengths_of(picks).sum())
            for drawn, picks in zip(mixture.replay, step.replay, strict=True)
        )
    return total


def _passes(mixture: Mixture, pad: int, accumulate: int, packing: int | None) -> StagePasses:
    data = Batches(mixture, pad, accumulate=accumulate, packing=packing)
    shapes = [_shape_of_pass(data[number]) for number in range(len(data))]
    return StagePasses(max(shapes, key=lambda shape: shape.tokens), sum(shape.tokens for shape in shapes))


def _shape_of_pass(batch: Batch) -> PassShape:
    sequences, width = batch["tokens"].shape
    return PassShape(sequences, width, len(batch["at"]))


def _of_padding(padding: float, packing: int | None) -> list[str]:
    if packing or padding < MUCH_PADDING:
        return []
    return [f"{padding:.0%} of what is computed is padding, as rows differ in length: `packing` lays them end to end"]


def _memory(shape: ModelShape, largest: PassShape, precision: Precision | None, *, anchored: bool) -> Memory:
    """Activations: 34 bytes a token, layer and unit of width in 16 bits (Korthikanti et al. 2022), for which each
    weight is held in 16 bits too; twice that in 32; attention scores are left out, as fused attention keeps none.
    Logits, their mask and gradient: at learned tokens only.
    """
    beside = shape.trained if shape.trained < shape.parameters else 0
    copies = 2 if anchored else 1
    held = BYTES_A_WEIGHT * (copies * shape.parameters + beside) + BYTES_OF_TRAINING * shape.trained
    units = largest.tokens * shape.layers * shape.hidden
    activations = 34 * units + 2 * copies * shape.parameters if precision == "bfloat16" else 2 * 34 * units
    logits = 3 * 4 * largest.learned * shape.vocabulary
    return Memory(held / GIB, (activations + logits) / GIB)
