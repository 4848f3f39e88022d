"""The Trainer's states (weights, optimiser, schedule, random numbers), each there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from transformers import Trainer
from transformers.utils import logging

from taxonomy.files import synced
from train.loop.processes import run_on_all_processes
from train.loop.session import PREFIX, Session, writing

UNFINISHED: Final = "unfinished"


class WholeStatesTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped to us
    """A Trainer whose states appear by one rename, after which the one before is removed."""

    session: Session

    def prepare_folder(self) -> None:
        """Remove what a killed process was about to save."""
        if self.is_world_process_zero():
            shutil.rmtree(self.session.states / UNFINISHED, ignore_errors=True)
            self.session.states.mkdir(parents=True, exist_ok=True)

    def _get_output_dir(self, trial: Any) -> str:  # noqa: ARG002 (the signature is the Trainer's)
        return str(self.session.states / UNFINISHED)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """A tied weight is saved once, so that one of its names is missing in every state."""
        tied = getattr(self.model, "_tied_weights_keys", None) or {}
        if load_result.unexpected_keys or not set(load_result.missing_keys) <= set(tied):
            super()._issue_warnings_after_load(load_result)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run_on_all_processes(lambda: self._write(model, trial))
        run_on_all_processes(self._appear)

    def _write(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        try:
            with writing(f"the state of step {step}", self.session.states), _no_bars():
                super()._save_checkpoint(model, trial)
        except BaseException:
            # What is left of it would keep the disk full.
            shutil.rmtree(self.session.states / UNFINISHED, ignore_errors=True)
            raise

    def _appear(self) -> None:
        if not self.is_world_process_zero():
            return
        older, name = list(self.session.states.glob(f"{PREFIX}*")), f"{PREFIX}{self.state.global_step}"
        with writing(f"the state of step {self.state.global_step}", self.session.states):
            synced(self.session.states / UNFINISHED / name)
            (self.session.states / UNFINISHED / name).rename(self.session.states / name)
            (self.session.states / UNFINISHED).rmdir()
        for state in older:
            shutil.rmtree(state)


@contextmanager
def _no_bars() -> Iterator[None]:
    """A save in the middle of a training is no work that anybody watches."""
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
