"""What a run would do, before any weight is loaded: tokens, steps, mix, memory, and what to mind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from train.advice import settled, settled_for_texts, warnings
from train.choosing.candidates import candidates
from train.data.batches import Batches
from train.data.mixture import Mixture
from train.loop.adapters import adapted, trained
from train.loop.sft import fresh_model
from train.prepare import Prepared, Say, prepare
from train.recipe import Optimisation, Precision, Recipe

BYTES_A_WEIGHT: Final = 4
"""Float32."""
BYTES_OF_TRAINING: Final = 12
"""Of each trained weight: its gradient and Adam's two moments (Rajbhandari et al. 2020)."""
GIB: Final = 2**30
MUCH_PADDING: Final = 0.25
"""Of what is computed: more is worth a word."""


class Shape(NamedTuple):
    """A model's size. trained: of its parameters and those of an adapter, the ones that are trained."""

    parameters: int
    trained: int
    layers: int
    hidden: int
    vocabulary: int


class Passes(NamedTuple):
    """What a stage computes. largest: the pass with the most tokens, padding too; `learned`: at how many of them logits
    are computed. computed: tokens of all passes, with padding.
    """

    largest: dict[str, int]
    computed: int


def plan(recipe: Recipe, say: Say) -> dict[str, Any]:
    """Everything is encoded, exactly as for the run; only the weights are left out. Raises what `prepare` raises."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(recipe, Path(folder), say)
        shape = _shape(recipe, prepared)
        optimisation = settled(recipe, shape.parameters)
        mixtures = [prepared.cpt] if prepared.cpt else []
        mixtures += [] if recipe.is_cpt_alone else [prepared.mixture]
        passes = [_passes(m, prepared.tokens.eos, optimisation.accumulate, recipe.packing) for m in mixtures]
        largest = max((each.largest for each in passes), key=lambda shape: shape["sequences"] * shape["width"])
        read, computed = sum(map(_tokens, mixtures)), sum(each.computed for each in passes)
        return {
            "parameters": shape.parameters,
            "trained": shape.trained,
            "cpt": _of_texts(recipe, prepared, optimisation),
            "steps": len(prepared.mixture),
            "tokens": _tokens(prepared.mixture),
            "padding": 1 - read / computed,
            "mix": prepared.mixture.as_json(),
            "optimisation": optimisation.model_dump(),
            "checked": {name: report.counts() for name, report in prepared.reports.items()},
            "largest_pass": largest,
            "memory_gib": _memory(shape, largest, optimisation.precision, anchored=recipe.replay_kl > 0),
            "choice": _choice(recipe, prepared),
            "mind": [*warnings(recipe, shape.parameters), *_of_padding(recipe, 1 - read / computed)],
        }


def text(planned: dict[str, Any]) -> str:
    """The plan for a person."""
    optimisation, largest, memory = planned["optimisation"], planned["largest_pass"], planned["memory_gib"]
    rate = f"learning rate {optimisation['learning_rate']:g}, {optimisation['precision']}"
    lines = [f"{planned['parameters'] / 1e6:.1f} M parameters, {planned['trained'] / 1e6:.2f} M trained"]
    if cpt := planned["cpt"]:
        lines.append(
            f"{cpt['steps']} steps of {cpt['batch']} rows of text, learning rate {cpt['learning_rate']:g}; then"
        )
    lines += [
        f"{planned['steps']} steps of {optimisation['batch']} rows, {rate}",
        f"{planned['tokens']} tokens in all; {planned['padding']:.0%} of what is computed is padding",
        f"{'source':<20}{'supervised tokens':>18}{'share':>9}{'asked':>9}{'rows':>9}{'of':>9}",
    ]
    for name, entry in planned["mix"].items():
        asked = f"{entry['asked']:.2%}" if "asked" in entry else "-"
        capped = "  capped" if entry.get("capped") else ""
        figures = f"{entry['tokens']:>18}{entry['share']:>9.2%}{asked:>9}{entry['rows']:>9}{entry['of']:>9}"
        lines.append(f"{name:<20}{figures}{capped}")
    lines.append(
        f"memory, estimated: {memory['weights_and_optimiser']:.2f} GiB for weights and optimiser, "
        f"{memory['activations']:.2f} GiB for a pass of {largest['sequences']} sequences of {largest['width']} tokens"
    )
    if choice := planned["choice"]:
        lines.append(
            f"then {len(choice['candidates'])} candidates, scored on {choice['comments']} comments and "
            f"{choice['questions']} questions: {'; '.join(choice['candidates'])}"
        )
    return "\n".join([*lines, *(f"mind: {line}" for line in planned["mind"])])


def _choice(recipe: Recipe, prepared: Prepared) -> dict[str, Any] | None:
    if not (recipe.choose and prepared.validation):
        return None
    names = [candidate.name for candidate in candidates(recipe.choose, len(prepared.mixture))]
    return prepared.validation.as_json() | {"candidates": names}


def _shape(recipe: Recipe, prepared: Prepared) -> Shape:
    """From the configuration alone."""
    with torch.device("meta"):
        if prepared.base:
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(prepared.base))
        else:
            model = fresh_model(recipe.architecture, len(prepared.tokenizer), pad=0, eos=0, seed=0)
        parameters, config = model.num_parameters(), model.config
        learned = trained(adapted(model, recipe.adapter, recipe.seed) if recipe.adapter else model)
    return Shape(parameters, learned, config.num_hidden_layers, config.hidden_size, config.vocab_size)


def _of_texts(recipe: Recipe, prepared: Prepared, optimisation: Optimisation) -> dict[str, Any] | None:
    """The stage before the comments, where there is one."""
    if not (recipe.cpt and prepared.cpt):
        return None
    own = settled_for_texts(recipe.cpt, optimisation)
    learned = prepared.cpt.as_json()["comments"]["tokens"]
    return {"steps": len(prepared.cpt), "tokens": learned, "batch": own.batch, "learning_rate": own.learning_rate}


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


def _passes(mixture: Mixture, pad: int, accumulate: int, packing: int | None) -> Passes:
    data = Batches(mixture, pad, accumulate=accumulate, packing=packing)
    shapes = [(*batch["tokens"].shape, len(batch["at"])) for batch in map(data.__getitem__, range(len(data)))]
    sequences, width, learned = max(shapes, key=lambda shape: shape[0] * shape[1])
    computed = sum(sequences * width for sequences, width, _ in shapes)
    return Passes({"sequences": sequences, "width": width, "learned": learned}, computed)


def _of_padding(recipe: Recipe, padding: float) -> list[str]:
    if recipe.packing or padding < MUCH_PADDING:
        return []
    return [f"{padding:.0%} of what is computed is padding, as rows differ in length: `packing` lays them end to end"]


def _memory(shape: Shape, largest: dict[str, int], precision: Precision | None, *, anchored: bool) -> dict[str, float]:
    """Estimates. Activations: 34 bytes a token, layer and unit of width in 16 bits (Korthikanti et al. 2022), for which
    each weight is held in 16 bits too; twice that in 32; attention scores are left out, as fused attention keeps none.
    Logits, their mask and gradient: at learned tokens only.
    """
    beside = shape.trained if shape.trained < shape.parameters else 0
    copies = 2 if anchored else 1
    held = BYTES_A_WEIGHT * (copies * shape.parameters + beside) + BYTES_OF_TRAINING * shape.trained
    units = largest["sequences"] * largest["width"] * shape.layers * shape.hidden
    activations = 34 * units + 2 * copies * shape.parameters if precision == "bfloat16" else 2 * 34 * units
    logits = 3 * 4 * largest["learned"] * shape.vocabulary
    return {"weights_and_optimiser": held / GIB, "activations": (activations + logits) / GIB}
