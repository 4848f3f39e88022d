"""Tokens a second of this trainer beside TRL's SFTTrainer: one model, the same rows in the same steps, in turn."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, PrinterCallback, TrainerCallback

from eval.bench.machine import this_machine
from taxonomy.errors import CallWrong
from taxonomy.language.forms import Form
from train.data.batches import Batches
from train.data.encode import TrainingRow
from train.data.mixture import Mixture
from train.loop.fit import fit
from train.loop.processes import joined
from train.loop.session import Say, Session
from train.loop.stops import Stops
from train.models import starting_model
from train.prepare import prepare
from train.recipe import Recipe
from train.recipe_parts import DataPart, Loss, Optimisation, StartPart

with warnings.catch_warnings():
    # TRL's client for vLLM, which is not used here, says at import which vLLM it knows.
    warnings.simplefilter("ignore")
    from trl import SFTConfig, SFTTrainer

SYSTEMS: Final = ("trl", "trl-packed", "own", "own-packed")
RATIOS: Final = (("own", "trl"), ("own-packed", "trl"), ("own-packed", "trl-packed"))
_OPTIMISATION: Final = Optimisation(learning_rate=1e-4, warmup=0)
WARM: Final = 1
"""Steps of each training that are not timed."""


class Timed(NamedTuple):
    """One training of a few steps. tokens: of the timed steps' rows, without padding. loss: the mean of all steps."""

    system: str
    tokens: int
    seconds: float
    loss: float


class BenchSettings(NamedTuple):
    """What is timed. steps: timed ones of each training. packing: tokens of a packed sequence of ours."""

    steps: int = 8
    rounds: int = 5
    packing: int = 512
    systems: tuple[str, ...] = SYSTEMS


class Workload(NamedTuple):
    """What every system gets. rows: those of each step. batch: rows of a step."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    mixture: Mixture
    rows: list[list[TrainingRow]]
    batch: int
    loss: Loss


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The model that is trained."""

    parameters: int
    vocabulary: int
    layers: int
    hidden: int
    dtype: Literal["float32"] = "float32"


@dataclass(frozen=True, slots=True)
class DataFigures:
    """What it is trained on; shares of the tokens, and of what is computed where rows are padded."""

    loss: Loss
    steps: int
    rows_a_step: int
    tokens_a_row: float
    supervised_share: float
    padding_share: float
    packing: int


@dataclass(frozen=True, slots=True)
class TimedFigures:
    """A row of the result: see Timed."""

    system: str
    tokens: int
    seconds: float
    loss: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two systems' rates, round by round."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BenchFigures:
    """Rates, their ratios by the names of the two systems, and the machine."""

    model: ModelFigures
    data: DataFigures
    rows: list[TimedFigures]
    ratios: dict[str, Ratio]
    machine: dict[str, Any]


def bench(recipe: Recipe, comparison: BenchSettings, say: Say) -> BenchFigures:
    """Raises CallWrong, and what `prepare` raises."""
    if recipe.loss == "constrained" or recipe.replay or recipe.adapter or recipe.cpt:
        raise CallWrong("the bench needs a recipe of comments alone, with the loss `decisions` or `completion`")
    joined()
    with tempfile.TemporaryDirectory() as folder:
        workload = _workload(recipe.data, recipe.start, comparison.steps + WARM, Path(folder), say)
        timed: list[Timed] = []
        for number in range(comparison.rounds):
            # Each system is the first once: what a round's place does to it is even over the rounds.
            turn = number % len(comparison.systems)
            for system in (*comparison.systems[turn:], *comparison.systems[:turn]):
                timed.append(_timed(system, workload, comparison.packing))
                say(f"round {number + 1}, {system}: {timed[-1].tokens / timed[-1].seconds:.0f} tokens/s")
        return _figures(timed, workload, comparison.packing)


@dataclass(frozen=True, slots=True)
class FormRates:
    """Of one form of answers: the tokens of its mean row, and comments a second of each round."""

    tokens_a_row: float
    comments_per_second: list[float]


@dataclass(frozen=True, slots=True)
class FormsFigures:
    """The same comments in each form. ratios: of the others to verbatim, round by round."""

    model: ModelFigures
    forms: dict[str, FormRates]
    ratios: dict[str, Ratio]
    machine: dict[str, Any]


def bench_forms(recipe: Recipe, comparison: BenchSettings, say: Say) -> FormsFigures:
    """The same comments in each form of answers, packed, trained on in turn. Raises as `bench` does."""
    joined()
    with tempfile.TemporaryDirectory() as folder:
        workloads: dict[Form, Workload] = {}
        for form in Form:
            own = Recipe.model_validate(recipe.model_dump(exclude_unset=True) | {"form": form})
            workloads[form] = _workload(own.data, own.start, comparison.steps + WARM, Path(folder) / form, say)
        rates: dict[Form, list[float]] = {form: [] for form in Form}
        for number in range(comparison.rounds):
            for form in sorted(Form, reverse=bool(number % 2)):
                timed = _timed("own-packed", workloads[form], comparison.packing)
                rate = comparison.steps * workloads[form].batch / timed.seconds
                rates[form].append(rate)
                say(f"round {number + 1}, {form}: {rate:.2f} comments/s")
    return FormsFigures(
        _model(workloads[Form.VERBATIM].model),
        {form: FormRates(_mean_length(workloads[form].rows), rates[form]) for form in Form},
        {form: _ratio(rates[form], rates[Form.VERBATIM]) for form in Form if form is not Form.VERBATIM},
        _machine(),
    )


def _workload(data: DataPart, start: StartPart, steps: int, folder: Path, say: Say) -> Workload:
    prepared = prepare(data, start, folder, say)
    whole = [step for step in prepared.mixture.order if len(step) == data.batch][:steps]
    if len(whole) < steps:
        raise CallWrong(f"the recipe has {len(whole)} whole steps, the bench takes {steps}")
    mixture = Mixture(prepared.mixture.comments, whole, (), ())
    rows = [[mixture.comments[int(i)] for i in mixture.step(number).comments] for number in range(steps)]
    model = starting_model(start, prepared.tokenizer, prepared.comments, say)
    return Workload(model, prepared.tokenizer, mixture, rows, data.batch, data.loss)


def _timed(system: str, workload: Workload, packing: int) -> Timed:
    torch.manual_seed(0)
    clock = _Clock()
    model, is_packed = copy.deepcopy(workload.model), system.endswith("-packed")
    with tempfile.TemporaryDirectory() as folder:
        if system.startswith("trl"):
            loss = _trl(model, workload, folder, clock, is_packed=is_packed)
        else:
            loss = _own(model, workload, Path(folder), clock, packing if is_packed else None)
    tokens = sum(len(row.tokens) for step in workload.rows[WARM:] for row in step)
    return Timed(system, tokens, clock.ends[-1] - clock.ends[WARM - 1], loss)


class _Clock(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """When each step was over."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def _own(model: PreTrainedModel, workload: Workload, folder: Path, clock: _Clock, packing: int | None) -> float:
    data = Batches(workload.mixture, workload.tokenizer.eos_token_id, packing=packing)
    with Stops(_silent) as stops:
        session = Session(folder, _silent, stops)
        return fit(model, data, _OPTIMISATION, session, seed=0, callbacks=[clock]).loss


def _trl(model: PreTrainedModel, workload: Workload, folder: str, clock: _Clock, *, is_packed: bool) -> float:
    """Packed, TRL lays the rows of each of these steps end to end in one sequence, kept apart by positions."""
    rows = [row for step in workload.rows for row in step]
    arguments = SFTConfig(
        output_dir=folder,
        num_train_epochs=1,
        per_device_train_batch_size=workload.batch,
        learning_rate=_OPTIMISATION.learning_rate,
        lr_scheduler_type="cosine",
        weight_decay=_OPTIMISATION.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        seed=0,
        logging_steps=1_000,
        save_strategy="no",
        report_to=[],
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        max_length=None,
        padding_free=is_packed,
        dataset_kwargs={"skip_prepare_dataset": True},
        gradient_checkpointing=False,
        bf16=False,
    )
    data = Dataset.from_dict({"input_ids": [row.tokens.tolist() for row in rows], "labels": list(map(_labels, rows))})
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        processing_class=workload.tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    return float(trainer.train().training_loss)


def _labels(row: TrainingRow) -> list[int]:
    """-100 where nothing is learned, as the field has it."""
    labels = np.full(len(row.tokens), -100)
    labels[row.learned] = row.tokens[row.learned]
    return list(map(int, labels))


def _silent(_: str) -> None:
    """What a training says is of no use here."""


def _figures(timed: Sequence[Timed], workload: Workload, packing: int) -> BenchFigures:
    lengths = [len(row.tokens) for step in workload.rows for row in step]
    padded = sum(max(len(row.tokens) for row in step) * len(step) for step in workload.rows)
    learned = sum(len(row.learned) for step in workload.rows for row in step)
    return BenchFigures(
        model=_model(workload.model),
        data=DataFigures(
            loss=workload.loss,
            steps=len(workload.rows) - WARM,
            rows_a_step=workload.batch,
            tokens_a_row=statistics.mean(lengths),
            supervised_share=learned / sum(lengths),
            padding_share=1 - sum(lengths) / padded,
            packing=packing,
        ),
        rows=[TimedFigures(*row, tokens_per_second=row.tokens / row.seconds) for row in timed],
        ratios=dict(_ratios(timed)),
        machine=_machine(),
    )


def _model(model: PreTrainedModel) -> ModelFigures:
    config = model.config
    return ModelFigures(model.num_parameters(), config.vocab_size, config.num_hidden_layers, config.hidden_size)


def _machine() -> dict[str, Any]:
    return asdict(this_machine()) | {"torch": torch.__version__, "threads": torch.get_num_threads()}


def _mean_length(steps: Sequence[Sequence[TrainingRow]]) -> float:
    return statistics.mean(len(row.tokens) for step in steps for row in step)


def _ratio(rates: Sequence[float], others: Sequence[float]) -> Ratio:
    ratios = [a / b for a, b in zip(rates, others, strict=False)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def _ratios(timed: Sequence[Timed]) -> Iterator[tuple[str, Ratio]]:
    rates = {system: [t.tokens / t.seconds for t in timed if t.system == system] for system in SYSTEMS}
    for one, other in RATIOS:
        if rates[one] and rates[other]:
            yield f"{one} / {other}", _ratio(rates[one], rates[other])


def forms_table(figures: FormsFigures) -> str:
    """For a person."""
    lines = [
        f"{form}: {each.tokens_a_row:.0f} tokens a row, {statistics.median(each.comments_per_second):.2f} comments/s"
        for form, each in figures.forms.items()
    ]
    ratios = [f"{form} / verbatim: {r.median:.2f} ({r.low:.2f} to {r.high:.2f})" for form, r in figures.ratios.items()]
    return "\n".join([*lines, *ratios])


def table(figures: BenchFigures) -> str:
    """For a person."""
    lines = [
        f"round {number}: {row.system:<11}{row.tokens_per_second:>8.0f} tokens/s, loss {row.loss:.4f}"
        for number, row in _numbered(figures.rows)
    ]
    ratios = [f"{name}: {each.median:.2f} ({each.low:.2f} to {each.high:.2f})" for name, each in figures.ratios.items()]
    return "\n".join([*lines, *ratios])


def _numbered(rows: Sequence[TimedFigures]) -> Iterator[tuple[int, TimedFigures]]:
    """Each with the number of its round."""
    seen = Counter[str]()
    for row in rows:
        seen[row.system] += 1
        yield seen[row.system], row
