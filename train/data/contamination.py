"""Benchmark questions inside training data: word 13-grams in common, as in GPT-3's study (Brown et al. 2020).

Words are runs of letters and digits, case aside. Of a question of 8 to 12 words the whole is looked for; shorter ones
are not, as they are common property. Scripts without spaces give long "words": there only passages are found that stand
between the same marks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taxonomy.errors import CallWrong
from taxonomy.jsonl import parsed, without_faults

GRAM: Final = 13
SHORTEST: Final = 8
_WORD: Final = re.compile(r"[^\W_]+")

WordGram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A row of the data and the benchmark question that is in it."""

    where: str
    question: str

    def __str__(self) -> str:
        return f"{self.where} holds {self.question!r}"


class Benchmarks:
    """The n-grams of benchmark questions, each with the first question that holds it."""

    def __init__(self, questions: Iterator[tuple[str, str]]) -> None:
        self._grams: dict[WordGram, str] = {}
        for name, text in questions:
            words = _words(text)
            if len(words) >= SHORTEST:
                for gram in _grams(words, min(GRAM, len(words))):
                    self._grams.setdefault(gram, name)
        self._sizes = sorted({len(gram) for gram in self._grams})

    def overlap(self, where: str, text: str) -> Overlap | None:
        """The first question found in the text, or none."""
        words = _words(text)
        for size in self._sizes:
            for gram in _grams(words, size):
                if question := self._grams.get(gram):
                    return Overlap(where, question)
        return None


def questions(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each question of MMLU (`mmlu/test/*.csv`) and IFEval (`ifeval/*.jsonl`).

    Raises CallWrong, DataInvalid, OSError.
    """
    files = sorted((folder / "mmlu" / "test").glob("*.csv")), sorted((folder / "ifeval").glob("*.jsonl"))
    if not any(files):
        raise CallWrong(f"{folder} holds neither mmlu/test/*.csv nor ifeval/*.jsonl")
    for file in files[0]:
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield f"{file.name}: {row['question'][:60]}", row["question"]
    for file in files[1]:
        for prompt in without_faults(parsed(file, lambda row: str(row.value["prompt"]))):
            yield f"{file.name}: {prompt[:60]}", prompt


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _grams(words: list[str], size: int) -> Iterator[WordGram]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))
