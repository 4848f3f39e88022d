"""SIGTERM and Ctrl-C: a run that is training leaves after the step it is in, any other at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from taxonomy.errors import TrainingStopped

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stops:
    """While entered, the two signals are its own. Signals come to a process's main thread; elsewhere this does nothing.

    asked: the signal that came while the run was `training`, which is to look for it.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked: signal.Signals | None = None
        self._say, self._training = say, False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._received) for number in _SIGNALS}
        else:
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def training(self) -> Iterator[None]:
        """In here a first signal only asks; a second one is obeyed at once."""
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def _received(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._training and not self.asked:
            self.asked = signal.Signals(number)
            self._say(f"{name}: the step is ended and the state saved; a second signal leaves at once")
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        self._say(f"{name}: stopped; --resume goes on from the state last saved, if there is one")
        # Nothing that catches errors on the way may hold it up.
        raise SystemExit(128 + number)


def stopped(number: int, step: int, steps: int, where: object) -> TrainingStopped:
    """The error that a run ends with after the step in which it was asked to stop."""
    name = signal.Signals(number).name
    return TrainingStopped(
        f"stopped by {name} after step {step} of {steps}; its state is in {where}: --resume goes on from there", number
    )
