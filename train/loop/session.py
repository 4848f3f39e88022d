"""What goes with a run, whatever it trains: its folder, who gets its reports, and whether it is to stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from taxonomy.errors import WriteFailed
from train.loop.stops import Stops

Say = Callable[[str], None]
"""Takes what a run reports, line by line."""
SAVE_MINUTES: Final = 15.0
STATES: Final = "state"
PREFIX: Final = "checkpoint-"
"""What the Trainer calls a saved state, before the number of its last step."""
GIB: Final = 2**30
_ERRORS: Final = (OSError, RuntimeError, SafetensorError)
"""PyTorch has no error of its own for a file that it cannot write."""


@dataclass(frozen=True)
class Session:
    """folder: the run's own, or that of one of its stages. resume: go on from the state last saved, where there is one.

    save_minutes: of training between two saved states.
    """

    folder: Path
    say: Say
    stops: Stops
    resume: bool = False
    save_minutes: float = SAVE_MINUTES

    def stage(self, name: str) -> Session:
        """The same for a training before the main one."""
        return replace(self, folder=self.folder / name)

    @property
    def states(self) -> Path:
        """Where states are saved."""
        return self.folder / STATES

    @property
    def state(self) -> Path | None:
        """The state last saved, of this training and no other stage's."""
        return max(self.states.glob(f"{PREFIX}*"), key=step_of, default=None)

    @property
    def last_state(self) -> Path | None:
        """The state last saved by any stage of the run."""
        saved = self.folder.glob(f"**/{STATES}/{PREFIX}*")
        return max(saved, key=lambda state: state.stat().st_mtime, default=None)

    def remove_states(self) -> None:
        """Those of all stages."""
        for states in list(self.folder.glob(f"**/{STATES}")):
            shutil.rmtree(states)


def step_of(state: Path) -> int:
    """The last step before a state was saved."""
    return int(state.name.removeprefix(PREFIX))


@contextmanager
def writing(what: str, folder: Path, errors: tuple[type[Exception], ...] = _ERRORS) -> Iterator[None]:
    """What a library raises when the disk does not take its files becomes a WriteFailed: what, where, and the room."""
    try:
        yield
    except errors as error:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())  # it may be gone itself
        free = shutil.disk_usage(there).free / GIB
        raise WriteFailed(
            f"{what} cannot be written to {folder}, where {free:.1f} GiB are free: {error}; when there is room, "
            "--resume goes on from the state last saved"
        ) from error
