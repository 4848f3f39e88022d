"""Questions with choices from local files, as the documents that lm-evaluation-harness has from the hub.

Every file has rows of one kind, whatever the data set calls its fields:

    {"question": ..., "choices": [...], "labels": [...], "answer": one of the labels}

BoolQ's have `title` and `passage` too, and "no" and "yes" for choices.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from eval.general.documents import Document, Splits, jsonl

_LETTERS: Final = ("A", "B", "C", "D", "E")
_FEWEST: Final = 2
"""Choices of a question."""
_SENTENCE_END: Final = re.compile(r"[.!?][\"')\u201d\u2019]*(?: |$)")


class _Asked(NamedTuple):
    """A row whose answer is among its labels, one for each choice."""

    question: str
    choices: list[str]
    labels: list[str]
    answer: str

    @property
    def place(self) -> int:
        return self.labels.index(self.answer)

    @property
    def lettered(self) -> Document:
        """The choices as ARC, OpenBookQA and CommonsenseQA have them."""
        return {"choices": {"text": self.choices, "label": self.labels}, "answerKey": self.answer}


def arc(folder: Path, part: str) -> Splits:
    """part: ARC-Easy or ARC-Challenge. Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row)
        return {"question": asked.question, **asked.lettered}

    name = part.lower().replace("-", "_")
    return {"test": jsonl(folder / "arc" / f"{name}_test.jsonl", document)}


def openbookqa(folder: Path, _: str | None = None) -> Splits:
    """Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row)
        return {"question_stem": asked.question, **asked.lettered}

    return {"test": jsonl(folder / "openbookqa" / "test.jsonl", document)}


def commonsenseqa(folder: Path, _: str | None = None) -> Splits:
    """Five choices, A to E. Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row, _LETTERS)
        return {"question": asked.question, **asked.lettered}

    return {"validation": jsonl(folder / "commonsenseqa" / "dev.jsonl", document)}


def piqa(folder: Path, _: str | None = None) -> Splits:
    """Two choices. Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row, ("0", "1"))
        first, second = asked.choices
        return {"goal": asked.question, "sol1": first, "sol2": second, "label": asked.place}

    return {"validation": jsonl(folder / "piqa" / "valid.jsonl", document)}


def winogrande(folder: Path, _: str | None = None) -> Splits:
    """Two choices for one gap in the question. Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row, ("1", "2"))
        if asked.question.count("_") != 1:
            raise ValueError(f"the question has {asked.question.count('_')} gaps (_), not one")
        first, second = asked.choices
        return {"sentence": asked.question, "option1": first, "option2": second, "answer": asked.answer}

    return {"validation": jsonl(folder / "winogrande" / "dev.jsonl", document)}


def hellaswag(folder: Path, _: str | None = None) -> Splits:
    """Four endings of "ACTIVITY: CONTEXT". Raises DataInvalid.

    The context was two fields once. The harness begins the second with a capital letter: it is what follows the last
    whole sentence.
    """

    def document(row: Document) -> Document:
        asked = _asked(row, ("0", "1", "2", "3"))
        activity, colon, context = asked.question.partition(": ")
        if not colon:
            raise ValueError("the question is not an activity, a colon and a context")
        ends = [found.end() for found in _SENTENCE_END.finditer(context)]
        cut = ends[-1] if ends else len(context)
        parts = {"ctx_a": context[:cut].rstrip(), "ctx_b": context[cut:]}
        return {"activity_label": activity, **parts, "endings": asked.choices, "label": asked.answer}

    return {"validation": jsonl(folder / "hellaswag" / "val.jsonl", document)}


def boolq(folder: Path, _: str | None = None) -> Splits:
    """A passage, which begins with its title as in SuperGLUE, and a question of yes or no. Raises DataInvalid."""

    def document(row: Document) -> Document:
        asked = _asked(row, ("no", "yes"))
        title, passage = _text(row["title"], "title"), _text(row["passage"], "passage")
        return {"passage": f"{title} -- {passage}", "question": asked.question, "label": asked.place}

    return {"validation": jsonl(folder / "boolq" / "dev.jsonl", document)}


CHOICE_READERS: Final[dict[str, Callable[[Path, str], Splits]]] = {
    "allenai/ai2_arc": arc,
    "allenai/openbookqa": openbookqa,
    "allenai/winogrande": winogrande,
    "aps/super_glue": boolq,
    "baber/piqa": piqa,
    "Rowan/hellaswag": hellaswag,
    "tau/commonsense_qa": commonsenseqa,
}
"""Of each data set's name on the hub, who reads it from a folder."""


def _asked(row: Document, labels: tuple[str, ...] | None = None) -> _Asked:
    """labels: what they must be; None: whatever they are. Raises ValueError, KeyError."""
    question, answer = _text(row["question"], "question"), row["answer"]
    choices, given = _texts(row["choices"], "choices"), _texts(row["labels"], "labels")
    if len(set(given)) < len(given):
        raise ValueError("two of the labels are equal")
    if len(choices) != len(given):
        raise ValueError(f"{len(choices)} choices have {len(given)} labels")
    if labels and tuple(given) != labels:
        raise ValueError(f"the labels are {', '.join(given)}, not {', '.join(labels)}")
    if answer not in given:
        raise ValueError(f"answer is {answer!r}, not {' or '.join(given)}")
    return _Asked(question, choices, given, answer)


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or len(value) < _FEWEST:
        raise ValueError(f"{name} is no list of two or more")
    return [_text(each, name) for each in value]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r}, not a text")
    return value
