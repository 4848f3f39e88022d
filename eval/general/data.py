"""The general benchmarks' questions from local files, as the documents that lm-evaluation-harness has from the hub.

mmlu/dev/SUBJECT_dev.csv, mmlu/test/SUBJECT_test.csv    question,choice0,choice1,choice2,choice3,answer (0 to 3)
ifeval/m_ifeval_en.jsonl                                key, prompt, instruction_id_list, kwargs
gsm8k/train.jsonl, gsm8k/test.jsonl                     question, answer

The others are questions with choices, in `eval.general.choices`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.general.choices import CHOICE_READERS
from eval.general.documents import Document, Splits, jsonl, some
from taxonomy.errors import DataInvalid

_CHOICES = ("choice0", "choice1", "choice2", "choice3")


def mmlu(folder: Path, subject: str, splits: Sequence[str] = ("dev", "test")) -> Splits:
    """One subject. Raises DataInvalid."""
    return {split: _mmlu_split(folder / "mmlu" / split / f"{subject}_{split}.csv", subject) for split in splits}


def mmlu_subjects(folder: Path) -> list[str]:
    """Those that have a test file. Raises DataInvalid where none has."""
    end, tests = "_test.csv", folder / "mmlu" / "test"
    if not (found := sorted(file.name.removesuffix(end) for file in tests.glob(f"*{end}"))):
        raise DataInvalid(f"{tests} holds no SUBJECT{end}")
    return found


def ifeval(folder: Path, _: str | None = None, language: str = "en") -> Splits:
    """The prompts of a language; the prefix `en:` of an instruction's id is dropped. Raises DataInvalid."""
    return {"train": jsonl(folder / "ifeval" / f"m_ifeval_{language}.jsonl", _prompt)}


def ifeval_languages(folder: Path) -> list[str]:
    """English, which alone is asked, and the others that have a file."""
    files = (folder / "ifeval").glob("m_ifeval_*.jsonl")
    return sorted({"en", *(file.stem.removeprefix("m_ifeval_") for file in files)})


def gsm8k(folder: Path, _: str | None = None, splits: Sequence[str] = ("train", "test")) -> Splits:
    """Problems with worked answers. Raises DataInvalid."""
    return {split: jsonl(folder / "gsm8k" / f"{split}.jsonl", _problem) for split in splits}


READERS: dict[str, Callable[[Path, str], Splits]] = {
    **CHOICE_READERS,
    "cais/mmlu": mmlu,
    "google/IFEval": ifeval,
    "openai/gsm8k": gsm8k,
}
"""Of each data set's name on the hub, who reads it from a folder."""


def _mmlu_split(file: Path, subject: str) -> list[Document]:
    with _opened(file) as lines:
        rows = csv.DictReader(lines, strict=True)
        if missing := {"question", *_CHOICES, "answer"} - set(rows.fieldnames or ()):
            raise DataInvalid(f"{file}:1: the column {min(missing)!r} is missing")
        return some(file, [_question(file, rows.line_num, row, subject) for row in rows])


def _question(file: Path, line: int, row: dict[str, str | None], subject: str) -> Document:
    question, *choices = (row[name] for name in ("question", *_CHOICES))
    if not question or None in choices:
        raise DataInvalid(f"{file}:{line}: the question or a choice is missing")
    if row["answer"] not in ("0", "1", "2", "3"):
        raise DataInvalid(f"{file}:{line}: answer is {row['answer']!r}, not 0, 1, 2 or 3")
    return {"question": question, "subject": subject, "choices": choices, "answer": int(row["answer"])}


def _prompt(row: Document) -> Document:
    names, arguments = row["instruction_id_list"], row["kwargs"]
    if not names or len(names) != len(arguments):
        raise ValueError(f"{len(names)} instructions have {len(arguments)} kwargs")
    names = [name.removeprefix("en:") for name in names]
    return {"key": row["key"], "prompt": row["prompt"], "instruction_id_list": names, "kwargs": arguments}


def _problem(row: Document) -> Document:
    return {"question": row["question"], "answer": row["answer"]}


def _opened(file: Path) -> Any:
    try:
        return file.open(encoding="utf-8", newline="")
    except FileNotFoundError as error:
        raise DataInvalid(f"{file} is missing") from error
