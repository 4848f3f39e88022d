"""What a model knows beside the taxonomy, and how it behaves: figures of the general benchmarks and their questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from taxonomy.files import write_jsonl
from taxonomy.jsonl import Row, parsed, without_faults

CHAT: Final = {"mmlu": False, "mmlu_generative": True, "ifeval": True, "gsm8k": False}
"""Of each of the harness's benchmarks whether it is asked through the chat template; the rest stands in `tasks`."""
SUITE: Final = "suite"
"""The benchmark that is not the harness's: short questions from a file, for models too small for the others."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `count` questions, 0 to 1. stderr: None where there are too few questions to have one."""

    value: float
    stderr: float | None
    count: int

    def __str__(self) -> str:
        spread = "" if self.stderr is None else f" +- {self.stderr:.4f}"
        return f"{self.value:.4f}{spread}  ({self.count})"


@dataclass(frozen=True)
class BenchmarkScores:
    """One benchmark's figures by name, and of MMLU its accuracy by subject."""

    figures: dict[str, Share]
    subjects: dict[str, Share]

    def as_json(self) -> dict[str, dict[str, object]]:
        subjects: dict[str, object] = {name: asdict(figure) for name, figure in self.subjects.items()}
        figures: dict[str, dict[str, object]] = {name: asdict(figure) for name, figure in self.figures.items()}
        return figures | ({"subjects": subjects} if subjects else {})


@dataclass(frozen=True)
class GeneralScores:
    """The general scores; a benchmark that was not run is None, never 0.

    harness: the version of lm-evaluation-harness. limit: how many questions of each of its tasks were asked, None for
    all; of the suite all are.
    """

    harness: str
    limit: int | None
    mmlu: BenchmarkScores | None = None
    mmlu_generative: BenchmarkScores | None = None
    ifeval: BenchmarkScores | None = None
    gsm8k: BenchmarkScores | None = None
    suite: BenchmarkScores | None = None

    @property
    def benchmarks(self) -> dict[str, BenchmarkScores | None]:
        return {name: getattr(self, name) for name in (*CHAT, SUITE)}

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
