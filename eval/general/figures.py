"""What a model knows beside the taxonomy, and how it behaves: figures of the general benchmarks and their questions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from eval.general.benchmarks import NAMES
from taxonomy.files import write_jsonl
from taxonomy.jsonl import Row, parsed, without_faults

_QUANTILE: Final = 1.959964
"""Of the normal distribution, for 95%."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `count` questions, 0 to 1. stderr: None where there are too few questions to have one."""

    value: float
    stderr: float | None
    count: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% Wilson interval, of as many independent questions as the standard error stands for."""
        if self.stderr is None:
            return None
        independent = self.value * (1 - self.value) / self.stderr**2 if self.stderr else self.count
        spread = _QUANTILE**2 / independent
        middle = self.value + spread / 2
        half = math.sqrt(spread * self.value * (1 - self.value) + spread**2 / 4)
        return (middle - half) / (1 + spread), (middle + half) / (1 + spread)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "interval": self.interval}

    def __str__(self) -> str:
        between = "" if self.interval is None else "  {:.4f} to {:.4f}".format(*self.interval)
        return f"{self.value:.4f}{between}  ({self.count})"


@dataclass(frozen=True)
class BenchmarkScores:
    """One benchmark's figures by name, and of MMLU its accuracy by subject."""

    figures: dict[str, Share]
    subjects: dict[str, Share]

    def as_json(self) -> dict[str, dict[str, object]]:
        subjects: dict[str, object] = {name: figure.as_json() for name, figure in self.subjects.items()}
        figures = {name: figure.as_json() for name, figure in self.figures.items()}
        return figures | ({"subjects": subjects} if subjects else {})


@dataclass(frozen=True)
class GeneralScores:
    """The general scores; a benchmark that was not run is None, never 0.

    harness: the version of lm-evaluation-harness. limit: how many questions of each of its tasks were asked (the
    first), None for all; of the suite all are. measured: by name what was run.
    """

    harness: str
    limit: int | None
    measured: Mapping[str, BenchmarkScores] = field(default_factory=dict)

    @property
    def benchmarks(self) -> dict[str, BenchmarkScores | None]:
        """All that there are."""
        return {name: self.measured.get(name) for name in NAMES}

    def as_json(self) -> dict[str, object]:
        """As the command prints it."""
        measured: dict[str, object] = {
            name: found.as_json() if found else None for name, found in self.benchmarks.items()
        }
        return {"harness": self.harness, "limit": self.limit, **measured}


@dataclass(frozen=True)
class QuestionResult:
    """One question and how it was answered: the input of a paired comparison.

    id: benchmark, task and number, the same in every run on the same data. hash: of the harness's document, so that two
    runs can be seen to have asked the same. scores: of each figure whether each of this question's parts counts for it;
    it is one part, but for IFEval's instructions.
    """

    benchmark: str
    subject: str | None
    id: str
    hash: str
    scores: dict[str, tuple[bool, ...]]
    answer: str


class GeneralRun(NamedTuple):
    """The figures, and every question behind them."""

    scores: GeneralScores
    questions: list[QuestionResult]


def figure(name: str, questions: Sequence[QuestionResult]) -> Share:
    """The share, and its standard error with each question's parts as a cluster (of one, but for instructions)."""
    right = np.array([sum(question.scores[name]) for question in questions])
    parts = np.array([len(question.scores[name]) for question in questions])
    share, asked = right.sum() / parts.sum(), len(questions)
    spread = np.square(right - share * parts).sum() * asked / (asked - 1) if asked > 1 else np.nan
    stderr = None if asked == 1 else float(np.sqrt(spread) / parts.sum())
    return Share(float(share), stderr, int(parts.sum()))


def write_questions(questions: Iterable[QuestionResult], file: Path) -> None:
    """Write JSONL."""
    write_jsonl((asdict(question) for question in questions), file)


def read_questions(file: Path) -> Iterator[QuestionResult]:
    """Read JSONL. Raises DataInvalid with file and line of every row in error."""
    return without_faults(parsed(file, _result))


def _result(row: Row) -> QuestionResult:
    try:
        scores = {name: tuple(map(bool, parts)) for name, parts in row.value.pop("scores").items()}
        return QuestionResult(scores=scores, **row.value)
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"not a question's result: {error}") from error
