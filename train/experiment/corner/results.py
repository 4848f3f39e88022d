"""What `train corner` measured: a line of results.jsonl each, as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from train.data.mixture import MixedSource
from train.experiment.corner.arms import Run
from train.experiment.results import read_lines, write_results
from train.report.choice import Estimate

RESULTS: Final = "results.jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_Line):
    """F1 of leaves, of L1 and of spans; emotion: the accuracy on spans that were found, None where none was."""

    leaf: Estimate
    l1: Estimate
    spans: Estimate
    emotion: Estimate | None


class TaskScore(_Line):
    """A general task by the figure that it is read by. difference: from the base, on the same questions."""

    figure: str
    asked: int
    share: Estimate
    difference: Estimate | None


class Training(_Line):
    """tokens: read and learned, without padding. threads: of the machine that torch took."""

    seconds: int
    steps: int
    tokens: int
    threads: int
    mix: dict[str, MixedSource]


class CornerResult(_Line):
    """One arm and seed, or the base. domain, training: None where nothing was trained for it.

    general: the mean over the tasks; difference: that of the tasks' differences from the base. checkpoint: its id,
    where it was published. scoring_s: seconds of decoding and asking, on `threads`.
    """

    arm: str
    seed: int
    domain: Domain | None
    tasks: dict[str, TaskScore]
    general: Estimate
    difference: Estimate | None
    checkpoint: str | None
    training: Training | None
    scoring_s: int
    threads: int

    @property
    def run(self) -> Run:
        return Run(self.arm, self.seed)


def read_corner(folder: Path) -> list[CornerResult]:
    """Nothing where there is none yet. Raises DataInvalid naming the lines in error."""
    return read_lines(folder / RESULTS, CornerResult)


def add_result(folder: Path, result: CornerResult) -> None:
    """Behind those that are there. Raises OSError."""
    write_results([*read_corner(folder), result], folder / RESULTS)
