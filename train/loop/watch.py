"""Who watches a run: its file of steps, a line of progress, TensorBoard, and MLflow where it is configured."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import MLflowCallback, TensorBoardCallback, is_mlflow_available

from taxonomy.errors import CallWrong
from train.loop.session import Session
from train.loop.steps import STEPS, add_step, keep_steps

SILENCE_S: Final = 30.0
"""Where nobody sits at a terminal, a line so often."""


def watchers(session: Session, done: int, *, is_main_process: bool) -> list[TrainerCallback]:
    """Those of this process; `done`: the steps that the run goes on from. Raises CallWrong."""
    if not is_main_process:
        return []
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (a second, and only the main process needs it)

    session.folder.mkdir(parents=True, exist_ok=True)
    # Steps that are done again take the place of those that a killed process logged.
    board = SummaryWriter(str(session.folder / "tensorboard"), purge_step=done + 1 if done else None)
    return [Steps(session, done), Progress(session), TensorBoardCallback(board), *_mlflow()]


def _mlflow() -> list[TrainerCallback]:
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return []
    if not is_mlflow_available():
        raise CallWrong("MLFLOW_TRACKING_URI is set, and mlflow is not installed: install it, or unset the variable")
    return [MLflowCallback()]


class Steps(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Writes `steps.jsonl`."""

    def __init__(self, session: Session, done: int) -> None:
        self._file = session.folder / STEPS
        keep_steps(self._file, done)

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 (the signature is the Trainer's)
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 (as above)
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        if "loss" in logs:
            add_step(self._file, {"step": state.global_step} | {k: v for k, v in logs.items() if k != "epoch"})


class Progress(TrainerCallback):  # type: ignore[misc]  # as above
    """One line that is kept up to date; without a terminal, a new one now and then."""

    def __init__(self, session: Session) -> None:
        self._say, self._reported = session.say, time.monotonic()
        self._bar: tqdm[Any] | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:  # noqa: ARG002
        self._started, self._first = time.monotonic(), state.global_step
        if sys.stderr.isatty():
            self._bar = tqdm(total=state.max_steps, initial=state.global_step, unit=" steps", dynamic_ncols=True)

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 (the signature is the Trainer's)
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 (as above)
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        if "loss" not in logs:
            return
        text = (
            f"loss {logs['loss']:.4g}, {logs['tokens_per_s']:,.0f} tokens/s, "
            f"{logs['supervised_tokens_per_s']:,.0f} supervised"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._reported > SILENCE_S or state.global_step == state.max_steps:
            self._reported = time.monotonic()
            passed = self._reported - self._started
            left = passed / (state.global_step - self._first) * (state.max_steps - state.global_step)
            self._say(f"step {state.global_step}/{state.max_steps}, {tqdm.format_interval(left)} left: {text}")

    def on_train_end(self, *_: Any, **__: Any) -> None:
        if self._bar is not None:
            self._bar.close()
