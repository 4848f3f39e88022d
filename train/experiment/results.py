"""What a run of the experiment measured: a line of results.jsonl each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from taxonomy.files import write_jsonl
from taxonomy.jsonl import Row, parsed, without_faults
from train.data.mixture import MixedSource

Interval = tuple[float, float]
"""The ends of a 95% interval."""
Result = TypeVar("Result", bound=BaseModel)


class ArmResult(BaseModel):
    """One arm of one seed, or the base, on one domain: leaf F1 of its comments, and accuracy on general questions.

    accuracy: the share of comments that are named right as a whole, where each is one segment. kinds: accuracy by kind
    of question. gsm8k_nll: nats a token of GSM8K's answers. training_s: seconds. Shares lie between 0 and 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str
    arm: str
    seed: int
    leaf_f1: float
    leaf_f1_95: Interval | None
    span_f1: float
    levels: dict[str, float]
    accuracy: float | None
    general: float
    general_95: Interval
    kinds: dict[str, float]
    gsm8k_nll: float | None
    checkpoint: str
    training_s: int
    steps: int
    mix: dict[str, MixedSource]

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it the only one in a folder."""
        return self.domain, self.arm, self.seed


def read_results(file: Path) -> list[ArmResult]:
    """What has been measured so far, as `read_lines` reads it."""
    return read_lines(file, ArmResult)


def read_lines(file: Path, kind: type[Result]) -> list[Result]:
    """A result a line; nothing where there is no file. Raises DataInvalid naming the lines in error."""
    return list(without_faults(parsed(file, partial(_result, kind)))) if file.is_file() else []


def _result(kind: type[Result], row: Row) -> Result:
    try:
        return kind.model_validate(row.value)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the row'}: {e['msg']}" for e in error.errors())
        raise ValueError(faults) from error


def write_results(results: Iterable[BaseModel], file: Path) -> None:
    """A line each. Raises OSError."""
    write_jsonl((result.model_dump() for result in results), file)
