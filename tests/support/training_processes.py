"""Trainings in processes of their own that can be killed. They are forked from one that has imported torch already."""

from __future__ import annotations

import os
import resource
import signal
import socket
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from route_feedback import main
from train.recipe import Recipe
from train.run import run

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.training_processes"])


class Signal(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """A signal to its own process when a step begins."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.step, self.number = step, number

    def on_step_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002 (the Trainer's)
        if state.global_step == self.step - 1:
            os.kill(os.getpid(), self.number)


def trained(recipe: Recipe, out: Path, *callbacks: TrainerCallback, resume: bool = False) -> BaseProcess:
    """A training with a state saved after each step, started."""
    return _started(run_quietly, recipe, out, callbacks, resume)


def called(arguments: list[str], log: Path, largest_file: int | None = None) -> BaseProcess:
    """The command, started; it may write no file over so many bytes. What it reports goes to the log."""
    return _started(_call, arguments, log, largest_file)


def ended(process: BaseProcess) -> int | None:
    """Its exit code, or minus the signal that killed it."""
    process.join(120)
    return process.exitcode


def _started(work: Any, *arguments: Any) -> BaseProcess:
    process: BaseProcess = _FORKS.Process(target=work, args=arguments)
    process.start()
    return process


def run_quietly(recipe: Recipe, out: Path, callbacks: tuple[TrainerCallback, ...], resume: bool) -> None:  # noqa: FBT001
    run(recipe, out, lambda _: None, resume=resume, save_minutes=0, callbacks=callbacks)


def _call(arguments: list[str], log: Path, largest_file: int | None) -> None:
    with log.open("w") as log_file:
        os.dup2(log_file.fileno(), 2)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    raise SystemExit(main(arguments))


def killed_while_writing(recipe: Recipe, out: Path, largest_file: int) -> BaseProcess:
    """A training that the kernel kills, without a word, in the middle of the first file over so many bytes."""
    return _started(_run_until_too_large, recipe, out, largest_file)


def in_parallel(work: Any, world: int, *arguments: Any) -> list[BaseProcess]:
    """`work(rank, *arguments)` in so many processes, as a launcher would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [_started(_as_rank, rank, world, port, work, *arguments) for rank in range(world)]


def _as_rank(rank: int, world: int, port: int, work: Any, *arguments: Any) -> None:
    launched = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in launched.items()} | {"MASTER_ADDR": "127.0.0.1"})
    os.environ["OMP_NUM_THREADS"] = "1"
    work(rank, *arguments)


def run_as_rank(
    rank: int,
    recipe: Recipe,
    out: Path,
    callbacks: tuple[TrainerCallback, ...] = (),
    resume: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """The callbacks are those of the second process."""
    run(recipe, out, lambda _: None, resume=resume, callbacks=callbacks if rank == 1 else ())


def _run_until_too_large(recipe: Recipe, out: Path, largest_file: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    run_quietly(recipe, out, (), resume=False)
