"""Tokens a second of this trainer beside TRL's SFTTrainer: one model, the same rows in the same steps, in turn."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback

from eval.bench.speed import machine
from taxonomy.errors import CallWrong
from train.data.batches import Batches
from train.data.encode import Row
from train.data.mixture import Mixture
from train.loop.fit import fit
from train.loop.processes import joined
from train.loop.session import Session
from train.loop.stops import Stops
from train.models import begun
from train.prepare import Prepared, Say, prepare
from train.recipe import Optimisation, Recipe

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


class Plan(NamedTuple):
    """steps: timed ones of each training. packing: tokens of a packed sequence of ours."""

    steps: int = 8
    rounds: int = 5
    packing: int = 512
    systems: tuple[str, ...] = SYSTEMS


class Setting(NamedTuple):
    """What every system gets. rows: those of each step."""

    model: PreTrainedModel
    prepared: Prepared
    mixture: Mixture
    rows: list[list[Row]]
    recipe: Recipe


def bench(recipe: Recipe, plan: Plan, say: Say) -> dict[str, Any]:
    """Rates, their ratios round by round, and the machine. Raises CallWrong, and what `prepare` raises."""
    if recipe.loss == "constrained" or recipe.replay or recipe.adapter or recipe.cpt:
        raise CallWrong("the bench needs a recipe of comments alone, with the loss `decisions` or `completion`")
    joined()
    with tempfile.TemporaryDirectory() as folder:
        setting = _setting(recipe, prepare(recipe, Path(folder), say), plan.steps + WARM, say)
        timed: list[Timed] = []
        for number in range(plan.rounds):
            # Each system is the first once: what a round's place does to it is even over the rounds.
            turn = number % len(plan.systems)
            for system in (*plan.systems[turn:], *plan.systems[:turn]):
                timed.append(_timed(system, setting, plan.packing))
                say(f"round {number + 1}, {system}: {timed[-1].tokens / timed[-1].seconds:.0f} tokens/s")
    return _figures(timed, setting, plan.packing)


def _setting(recipe: Recipe, prepared: Prepared, steps: int, say: Say) -> Setting:
    whole = [step for step in prepared.mixture.order if len(step) == recipe.optimisation.batch][:steps]
    if len(whole) < steps:
        raise CallWrong(f"the recipe has {len(whole)} whole steps, the bench takes {steps}")
    mixture = Mixture(prepared.mixture.comments, whole, (), ())
    rows = [[mixture.comments[int(i)] for i in mixture.step(number).comments] for number in range(steps)]
    return Setting(begun(recipe, prepared, say), prepared, mixture, rows, recipe)


def _timed(system: str, setting: Setting, packing: int) -> Timed:
    torch.manual_seed(0)
    clock = _Clock()
    model, is_packed = copy.deepcopy(setting.model), system.endswith("-packed")
    with tempfile.TemporaryDirectory() as folder:
        if system.startswith("trl"):
            loss = _trl(model, setting, folder, clock, is_packed=is_packed)
        else:
            loss = _own(model, setting, Path(folder), clock, packing if is_packed else None)
    tokens = sum(len(row.tokens) for step in setting.rows[WARM:] for row in step)
    return Timed(system, tokens, clock.ends[-1] - clock.ends[WARM - 1], loss)


class _Clock(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """When each step was over."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def _own(model: PreTrainedModel, setting: Setting, folder: Path, clock: _Clock, packing: int | None) -> float:
    data = Batches(setting.mixture, setting.prepared.tokens.eos, packing=packing)
    with Stops(_nobody) as stops:
        session = Session(folder, _nobody, stops)
        return fit(model, data, _OPTIMISATION, session, seed=0, callbacks=[clock]).loss


def _trl(model: PreTrainedModel, setting: Setting, folder: str, clock: _Clock, *, is_packed: bool) -> float:
    """Packed, TRL lays the rows of each of these steps end to end in one sequence, told apart by positions."""
    rows = [row for step in setting.rows for row in step]
    arguments = SFTConfig(
        output_dir=folder,
        num_train_epochs=1,
        per_device_train_batch_size=setting.recipe.optimisation.batch,
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
        processing_class=setting.prepared.tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    return float(trainer.train().training_loss)


def _labels(row: Row) -> list[int]:
    """-100 where nothing is learned, as the field has it."""
    labels = np.full(len(row.tokens), -100)
    labels[row.learned] = row.tokens[row.learned]
    return list(map(int, labels))


def _nobody(_: str) -> None:
    """What a training says is of no use here."""


def _figures(timed: Sequence[Timed], setting: Setting, packing: int) -> dict[str, Any]:
    lengths = [len(row.tokens) for step in setting.rows for row in step]
    padded = sum(max(len(row.tokens) for row in step) * len(step) for step in setting.rows)
    learned = sum(len(row.learned) for step in setting.rows for row in step)
    return {
        "model": {
            "parameters": setting.model.num_parameters(),
            "vocabulary": setting.model.config.vocab_size,
            "layers": setting.model.config.num_hidden_layers,
            "hidden": setting.model.config.hidden_size,
            "dtype": "float32",
        },
        "data": {
            "loss": setting.recipe.loss,
            "steps": len(setting.rows) - WARM,
            "rows_a_step": setting.recipe.optimisation.batch,
            "tokens_a_row": statistics.mean(lengths),
            "supervised_share": learned / sum(lengths),
            "padding_share": 1 - sum(lengths) / padded,
            "packing": packing,
        },
        "rows": [row._asdict() | {"tokens_per_second": row.tokens / row.seconds} for row in timed],
        "ratios": dict(_ratios(timed)),
        "machine": machine() | {"torch": torch.__version__, "threads": torch.get_num_threads()},
    }


def _ratios(timed: Sequence[Timed]) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each pair of systems the ratio in each round: its median, lowest and highest."""
    rates = {system: [t.tokens / t.seconds for t in timed if t.system == system] for system in SYSTEMS}
    for one, other in RATIOS:
        ratios = [a / b for a, b in zip(rates[one], rates[other], strict=False)]
        if ratios:
            yield f"{one} / {other}", {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def table(figures: dict[str, Any]) -> str:
    """For a person."""
    lines = [
        f"round {number}: {row['system']:<11}{row['tokens_per_second']:>8.0f} tokens/s, loss {row['loss']:.4f}"
        for number, row in _numbered(figures["rows"])
    ]
    spread = "{median:.2f} ({low:.2f} to {high:.2f})"
    return "\n".join([*lines, *(f"{name}: {spread.format(**ratio)}" for name, ratio in figures["ratios"].items())])


def _numbered(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    seen = Counter[str]()
    for row in rows:
        seen[row["system"]] += 1
        yield seen[row["system"]], row
