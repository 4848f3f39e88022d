"""`bench forms`: what an answer costs in each form, in tokens and in time, side by side in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import mean
from typing import Final

from eval.bench.machine import Machine, this_machine
from eval.bench.speed import Cell, SpeedPlan, SpeedRatio, SpeedRow, measured_cells, ratios
from eval.bench.systems import System, started
from serve.routing.pair import Pair
from serve.settings import Settings
from serve.start import load_pair
from taxonomy.comments import LabelledComment
from taxonomy.language.chunks import chunks

PLAIN: Final = "vllm-grammar"


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Of the mean labelled comment: the tokens of its prompt and its right answer, the decisions among them, and how
    many tokens the engine computes: all but those after the last decision.
    """

    prompt: float
    answer: float
    decisions: float
    computed: float


@dataclass(frozen=True, slots=True)
class FormFigures:
    """tokens: by form. ratios: by the names of two systems."""

    tokens: dict[str, FormTokens]
    rows: list[SpeedRow]
    ratios: dict[str, list[SpeedRatio]]
    plan: SpeedPlan
    machine: Machine


def form_tokens(pair: Pair, comments: Sequence[LabelledComment]) -> FormTokens:
    """Raises ValueError where a segment does not end on a candidate cut."""
    prompts, answers = [], []
    for comment in comments:
        pieces = chunks(comment.comment)
        prompts.append(len(pair.prompt.of(pieces)))
        answers.append(pair.language.answer(pieces, comment.parts))
    return FormTokens(
        prompt=mean(prompts),
        answer=mean(len(answer.tokens) for answer in answers),
        decisions=mean(len(answer.decisions) for answer in answers),
        computed=mean(length + answer.decisions[-1].at for length, answer in zip(prompts, answers, strict=True)),
    )


async def forms(
    comments: Sequence[LabelledComment],
    models: Mapping[str, Mapping[str, Settings]],
    plan: SpeedPlan,
    say: Callable[[str], None],
    keep: Callable[[FormFigures], None],
) -> FormFigures:
    """Measure checkpoints that differ in their form. models: by name, what serves each form, the first of which the
    others are compared with, and vLLM under its reference grammar beside them.

    keep: given all figures so far, after each round.
    """
    tokens: dict[str, FormTokens] = {}
    cells: list[Cell] = []
    texts = [comment.comment for comment in comments]

    def figures() -> FormFigures:
        rows = [cell.row() for cell in cells if cell.rates]
        names = list(dict.fromkeys(row.system for row in rows))
        compared = {f"{a} / {b}": ratios(rows, a, b) for a in names for b in names if a not in {b, PLAIN}}
        return FormFigures(tokens, rows, compared, plan, this_machine())

    def count(cell: Cell) -> None:
        if cell not in cells:
            cells.append(cell)
        keep(figures())

    for model, by_form in models.items():
        async with AsyncExitStack() as stack:
            systems: dict[str, System] = {}
            for form, settings in by_form.items():
                bounded = settings.model_copy(update={"max_model_len": plan.max_tokens})
                pair = load_pair(bounded)
                tokens.setdefault(form, form_tokens(pair, comments))
                if not plan.repeats:
                    continue
                if PLAIN in plan.systems and not systems:
                    say(f"{model}: starting {PLAIN}")
                    systems[PLAIN] = await stack.enter_async_context(started(PLAIN, pair, bounded))
                say(f"{model}: starting the engine on {form}")
                systems[form] = await stack.enter_async_context(started("engine", pair, bounded))
            for system in systems.values():
                await system.answer(texts[0])
            await measured_cells(systems, model, {"short": texts}, plan, say, count=count)
    return figures()
