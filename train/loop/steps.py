"""What a run says of each of its steps: `steps.jsonl` in the run's folder, one object a line, in the steps' order.

{"step": 1, "loss": 2.31, "learning_rate": 0.0003, "grad_norm": 1.2, "tokens": 5120, "supervised_tokens": 310,
 "tokens_per_s": 8214.0, "supervised_tokens_per_s": 497.3, "seconds": 0.6}

step: from 1. loss: mean over the step's supervised tokens, of all processes. tokens: read in the step, padding left
out; supervised_tokens: learned. seconds: of training until the step's end, those before an interruption counted too.
Callbacks may add figures of their own, as `kl`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from taxonomy.errors import DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.jsonl import read_rows

STEPS: Final = "steps.jsonl"
StepFigures = Mapping[str, float]
"""One step's figures by their names."""
KL: Final = "kl"
"""The figure of how far the model has moved from its base."""


def add_step(file: Path, figures: StepFigures) -> None:
    """Append one step. Raises OSError that names the file."""
    try:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(figures) + "\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error


def read_steps(file: Path) -> Iterator[StepFigures]:
    """The steps that were written whole: of a process killed in the middle of one the last line is left out.

    Raises DataInvalid where another line is in error, OSError.
    """
    broken: DataInvalid | None = None
    for row in read_rows(file):
        if broken:
            raise broken
        if isinstance(row, DataInvalid):
            broken = row
        else:
            yield row.value


def keep_steps(file: Path, last: int) -> None:
    """Leave out what came after the step `last`: the run goes on from there. Raises OSError."""
    kept = [figures for figures in read_steps(file) if figures["step"] <= last] if file.exists() else []
    write_jsonl(kept, file)
