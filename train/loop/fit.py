"""The training loop: the Trainer's, with one loss, states that outlive a kill, and one word a step among processes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback, TrainingArguments

from taxonomy.errors import TrainingDiverged
from train.data.batches import Batch, Batches
from train.loop.processes import empty_copy, run_on_main_process, whole_weights
from train.loop.saving import WholeStatesTrainer
from train.loop.session import Session, step_of, writing
from train.loop.sft import Anchor, loss_of
from train.loop.steps import STEPS, read_steps
from train.loop.stops import stopped
from train.loop.watch import watchers
from train.recipe_parts import Optimisation, Precision


class Fitted(NamedTuple):
    """The model, whole in the first process; how long its steps took, before interruptions too, and their mean loss."""

    model: PreTrainedModel
    seconds: float
    loss: float


class StepTotals(NamedTuple):
    """What is so of a step in all processes: their sums, and what follows from it."""

    loss: float
    tokens: float
    supervised_tokens: float
    stop: float
    save: float


class LearnedPositionsTrainer(WholeStatesTrainer):
    """The Trainer with a loss over the learned positions alone."""

    anchor: Anchor | None = None
    precision: Precision | None = None

    def set_up(self, session: Session, seconds: float) -> None:
        """seconds: of training before the state that the run goes on from."""
        self.session = session
        self.prepare_folder()
        self._sums: torch.Tensor | float = 0.0
        self._started, self._saved = time.monotonic() - seconds, time.monotonic()
        self._marked = self._saved
        self.remove_callback(PrinterCallback)
        self.add_callback(_AtStepEnd(self))

    def compute_loss(
        self,
        model: PreTrainedModel,
        inputs: Batch,
        return_outputs: bool = False,
        **_: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        with torch.autocast(inputs["tokens"].device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            loss = loss_of(model, self.accelerator.unwrap_model(model), inputs, self.anchor)
        return (loss, {}) if return_outputs else loss

    def training_step(self, model: torch.nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        figures = [loss, float(inputs["read"]), float(len(inputs["targets"]))]
        self._sums = self._sums + torch.tensor(figures, dtype=torch.double, device=loss.device)
        if self.accelerator.sync_gradients:
            self.totals = self._reduced(self._sums)
            self._sums = 0.0
            self._check("loss", self.totals.loss, self.state.global_step + 1)
        return loss

    def _reduced(self, sums: torch.Tensor) -> StepTotals:
        """One exchange a step: all processes stop, save or fail at the same one."""
        due = self.is_world_process_zero() and time.monotonic() - self._saved >= 60 * self.session.save_minutes
        asks = torch.tensor([self.session.stops.asked is not None, due], dtype=sums.dtype, device=sums.device)
        loss, *others = self.accelerator.reduce(torch.cat([sums, asks]), "sum").tolist()
        return StepTotals(loss / self.accelerator.num_processes, *others)

    def _check(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            kept = self.session.state
            state = f"the state of step {step_of(kept)} is kept in {kept}" if kept else "no state was saved before it"
            raise TrainingDiverged(
                f"step {step}: the {what} is {value}; its rows: {self.train_dataset.named(step - 1)}; {state}. "
                "--resume would come here again: begin anew without these rows, or with a lower learning rate"
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Of each step also how fast it was. Raises TrainingDiverged where its gradient was no number."""
        if "loss" in logs:
            self._check("gradient", logs["grad_norm"], self.state.global_step)
            now = time.monotonic()
            took, self._marked = now - self._marked, now
            totals = self.totals
            logs |= {
                "loss": totals.loss,
                "tokens": int(totals.tokens),
                "supervised_tokens": int(totals.supervised_tokens),
                "tokens_per_s": totals.tokens / took,
                "supervised_tokens_per_s": totals.supervised_tokens / took,
                "seconds": now - self._started,
            }
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self._marked = self._saved = time.monotonic()


class _AtStepEnd(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Saves when it is time, at the end, and before the run stops because it was asked to."""

    def __init__(self, trainer: LearnedPositionsTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 (the Trainer's)
        totals = self._trainer.totals
        control.should_save = bool(totals.save or totals.stop) or state.global_step == state.max_steps
        control.should_training_stop |= bool(totals.stop)


def fit(
    model: PreTrainedModel,
    data: Batches,
    optimisation: Optimisation,
    session: Session,
    seed: int,
    *,
    anchor: Anchor | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fitted:
    """Train in place, the data's steps in their order, from the session's state where it goes on.

    callbacks: called before those that log, so that in `on_log` they may add figures to the step's `logs`. What they
    keep they keep on disk under the number of its step: a run that goes on does the steps after its state again.
    Raises TrainingStopped, TrainingDiverged, WriteFailed, ProcessFailed.
    """
    state = run_on_main_process(lambda: session.state) if session.resume else None
    done = step_of(state) if state else 0
    arguments = _arguments(optimisation, len(data.mixture), session.folder, seed)
    trainer = LearnedPositionsTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=_only,
        callbacks=[*callbacks, *watchers(session, done, is_main_process=arguments.process_index == 0)],
    )
    trainer.anchor, trainer.precision = anchor, optimisation.precision
    empty = empty_copy(model) if trainer.is_fsdp_enabled else None
    trainer.set_up(session, run_on_main_process(lambda: _seconds_and_loss(session)[0]))
    with session.stops.training(), writing("the log", session.folder, (OSError,)):
        trainer.train(resume_from_checkpoint=str(state) if state else None)
    asked: list[int] = gather_object([session.stops.asked or 0])
    if any(asked):
        raise stopped(max(asked), trainer.state.global_step, trainer.state.max_steps, session.folder)
    whole = _unsharded(trainer.model, empty) if empty else model
    return Fitted(whole, *run_on_main_process(lambda: _seconds_and_loss(session)))


def _arguments(optimisation: Optimisation, steps: int, folder: Path, seed: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=optimisation.accumulate,
        learning_rate=optimisation.learning_rate,
        warmup_steps=round(optimisation.warmup * steps),
        lr_scheduler_type="cosine",
        weight_decay=optimisation.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        save_strategy="no",
        report_to=[],
        seed=seed,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=0,
    )


def _seconds_and_loss(session: Session) -> tuple[float, float]:
    """Of all steps so far."""
    seconds, losses = 0.0, []
    for step in read_steps(session.folder / STEPS):
        seconds = step["seconds"]
        losses.append(step["loss"])
    return seconds, statistics.fmean(losses) if losses else 0.0


def _unsharded(model: PreTrainedModel, empty: PreTrainedModel) -> PreTrainedModel:
    gathered = whole_weights(model)
    if gathered:
        empty.load_state_dict(gathered, strict=False, assign=True)
        empty.tie_weights()
    return empty


def _only(items: list[Batch]) -> Batch:
    """The data set's items are whole batches already."""
    (batch,) = items
    return batch
