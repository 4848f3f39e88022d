"""The general suite's questions and their scorer: short answers, each right or wrong.

    {"messages": [{"role": "user", ...}, {"role": "assistant", ...}], "kind": "reverse"}

A row is a chat like any other, so that a split can be trained on as it is, or asked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from scipy.stats import binomtest

from taxonomy.files import write_jsonl
from taxonomy.jsonl import Row, parsed, without_faults

WORKED: Final = "gsm8k"
"""The kind whose answers are worked out: what counts is the number after the last `####`."""
_FINAL: Final = re.compile(r"####\s*(-?[\d,]*\.?\d+)")


class Question(NamedTuple):
    """What is asked, the answer that is right, and what kind of task it is."""

    kind: str
    question: str
    answer: str


class Accuracy(NamedTuple):
    """Right answers among questions, and the 95% Wilson interval of their share."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked

    @property
    def interval(self) -> tuple[float, float]:
        low, high = binomtest(self.right, self.asked).proportion_ci(method="wilson")
        return float(low), float(high)


def is_right(question: Question, answer: str) -> bool:
    """Exactly the answer, white space around it aside; of a worked answer, its final number."""
    if question.kind == WORKED:
        expected = final_number(question.answer)
        return expected is not None and final_number(answer) == expected
    return answer.strip() == question.answer.strip()


def final_number(answer: str) -> float | None:
    """The number after the last `####`, or none."""
    found = _FINAL.findall(answer)
    return float(found[-1].replace(",", "")) if found else None


def score_suite(questions: Sequence[Question], answers: Sequence[str]) -> dict[str, Accuracy]:
    """By kind, and over all under "all". Raises ValueError where they are not as many, or none."""
    if not questions:
        raise ValueError("no question was asked")
    counts: dict[str, list[bool]] = defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        right = is_right(question, answer)
        counts[question.kind].append(right)
        counts["all"].append(right)
    return {kind: Accuracy(sum(rights), len(rights)) for kind, rights in sorted(counts.items())}


def as_json(question: Question) -> dict[str, object]:
    """One row."""
    turns = [{"role": "user", "content": question.question}, {"role": "assistant", "content": question.answer}]
    return {"messages": turns, "kind": question.kind}


def write_questions(questions: Iterable[Question], file: Path) -> int:
    """Write JSONL; gives the number of questions."""
    return write_jsonl(map(as_json, questions), file)


def read_questions(file: Path) -> Iterator[Question]:
    """Read JSONL. Raises DataInvalid with file and line of every row in error."""
    return without_faults(parsed(file, _question))


def _question(row: Row) -> Question:
    asked, answered = row.value["messages"]
    if [asked["role"], answered["role"]] != ["user", "assistant"]:
        raise ValueError("messages: not one of a user and one of the assistant")
    return Question(str(row.value["kind"]), asked["content"], answered["content"])
