"""Benchmark questions inside training data: word 13-grams in common, as in GPT-3's study (Brown et al. 2020).

Words are runs of letters and digits, case aside. Of a question of 8 to 12 words the whole is looked for; shorter ones
are not, as they are common property. Scripts without spaces give long "words": there only passages are found that stand
between the same marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from eval.general.benchmarks import BENCHMARKS
from eval.general.choices import arc, boolq, commonsenseqa, hellaswag, openbookqa, piqa, winogrande
from eval.general.data import gsm8k, ifeval, ifeval_languages, mmlu, mmlu_subjects
from eval.general.documents import Splits
from taxonomy.errors import CallWrong

GRAM: Final = 13
SHORTEST: Final = 8
_SHOWN: Final = 60
"""Characters of a question that name it."""
_WORD: Final = re.compile(r"[^\W_]+")


class Question(NamedTuple):
    """A text that must not be in the data, and the benchmark (or file) that asks it."""

    benchmark: str
    text: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """A row of the data, and the first question of a benchmark that is in it, by its beginning."""

    where: str
    benchmark: str
    question: str

    def __str__(self) -> str:
        return f"{self.where} holds {self.question!r} of {self.benchmark}"


class Benchmarks:
    """The n-grams of questions, each with the first question of each benchmark that holds it.

    All benchmarks together have over a million: of each the hash is kept, 64 bits. names: of the benchmarks, in order.
    """

    def __init__(self, questions: Iterable[Question]) -> None:
        self._asked: dict[int, tuple[Question, ...]] = {}
        names: dict[str, None] = {}
        sizes: set[int] = set()
        for question in questions:
            names[question.benchmark] = None
            words = _words(question.text)
            if len(words) >= SHORTEST:
                size = min(GRAM, len(words))
                sizes.add(size)
                self._add(question, _hashes(words, size))
        self.names, self._sizes = (*names,), sorted(sizes)

    def _add(self, question: Question, grams: Iterable[int]) -> None:
        alone = (question,)
        for gram in grams:
            before = self._asked.setdefault(gram, alone)
            if all(other.benchmark != question.benchmark for other in before):
                self._asked[gram] = (*before, question)

    def found(self, text: str) -> list[Question]:
        """The first question of each benchmark that is in the text."""
        words = _words(text)
        first: dict[str, Question] = {}
        for size in self._sizes:
            for gram in _hashes(words, size):
                for question in self._asked.get(gram, ()):
                    first.setdefault(question.benchmark, question)
        return [*first.values()]

    def overlaps(self, where: str, text: str) -> list[Overlap]:
        """The same, of a row of the data."""
        return [Overlap(where, question.benchmark, question.text[:_SHOWN]) for question in self.found(text)]


def questions(folder: Path) -> Iterator[Question]:
    """The test questions of every benchmark that lies in a folder, as `eval general` reads them; no answers.

    Raises CallWrong where none lies there, DataInvalid, OSError.
    """
    there = [name for name in ASKED if BENCHMARKS[name].has_data(folder)]
    if not there:
        known = dict.fromkeys(BENCHMARKS[name].data for name in ASKED)
        raise CallWrong(f"{folder} holds no benchmark that is known: {', '.join(known)}")
    return (Question(name, text) for name in there for text in ASKED[name](folder))


def _mmlu(folder: Path) -> Iterator[str]:
    for subject in mmlu_subjects(folder):
        yield from _texts(mmlu(folder, subject, ("test",)), "question")


def _hellaswag(folder: Path) -> Iterator[str]:
    """The contexts, whole."""
    return (f"{row['ctx_a']} {row['ctx_b']}" for row in hellaswag(folder)["validation"])


def _winogrande(folder: Path) -> Iterator[str]:
    """The sentences, with either choice in the gap."""
    for row in winogrande(folder)["validation"]:
        yield from (row["sentence"].replace("_", row[option]) for option in ("option1", "option2"))


def _ifeval(folder: Path) -> Iterator[str]:
    """In every language that there is: data to train on may be in any."""
    for language in ifeval_languages(folder):
        yield from _texts(ifeval(folder, language=language), "prompt")


ASKED: Final[dict[str, Callable[[Path], Iterator[str]]]] = {
    "mmlu": _mmlu,
    "arc_easy": lambda folder: _texts(arc(folder, "ARC-Easy"), "question"),
    "arc_challenge": lambda folder: _texts(arc(folder, "ARC-Challenge"), "question"),
    "piqa": lambda folder: _texts(piqa(folder), "goal"),
    "hellaswag": _hellaswag,
    "winogrande": _winogrande,
    "boolq": lambda folder: _texts(boolq(folder), "passage", "question"),
    "openbookqa": lambda folder: _texts(openbookqa(folder), "question_stem"),
    "commonsenseqa": lambda folder: _texts(commonsenseqa(folder), "question"),
    "ifeval": _ifeval,
    "gsm8k": lambda folder: _texts(gsm8k(folder, splits=("test",)), "question"),
}
"""Of each benchmark that has questions of its own, what counts as them: a text each. (MMLU is asked in three ways.)"""


def _texts(splits: Splits, *fields: str) -> Iterator[str]:
    return (row[field] for rows in splits.values() for row in rows for field in fields)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _hashes(words: list[str], size: int) -> Iterator[int]:
    """Of each run of so many words."""
    return (hash(tuple(words[at : at + size])) for at in range(len(words) - size + 1))
