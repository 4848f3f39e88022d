"""The forms of an answer, between a checkpoint and the service; what the API returns is the same in all.

VERBATIM: the comment is copied, segment by segment, with the labels after each. NUMBERED: the prompt shows the
comment's chunks with their numbers, and an answer names of each segment the chunk that it ends with and its labels.
The numbered forms differ in how a label is written: whole, by the words that tell it from its siblings, or as one token
of its own that the tokenizer was given for it; there the numbers and emotions are such tokens too.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from taxonomy.labels import LabelPath
from taxonomy.tree import Taxonomy


class Form(StrEnum):
    """Part of what a checkpoint and the service agree on: a checkpoint answers only in the form it was trained in."""

    VERBATIM = "verbatim"
    NUMBERED_WHOLE = "numbered-whole"
    NUMBERED = "numbered"
    NUMBERED_TOKENS = "numbered-tokens"
    MARKED = "marked"

    @property
    def is_numbered(self) -> bool:
        return self in {Form.NUMBERED, Form.NUMBERED_WHOLE, Form.NUMBERED_TOKENS}

    @property
    def has_own_tokens(self) -> bool:
        """Whether the tokenizer must have a token for each label, number and emotion."""
        return self in {Form.NUMBERED_TOKENS, Form.MARKED}


def label_texts(taxonomy: Taxonomy, form: Form) -> dict[LabelPath, str]:
    """Of every node the text that stands for its label in an answer: its name, or as little of it as is its own."""
    texts: dict[LabelPath, str] = {}
    waiting: list[LabelPath] = [()]
    while waiting:
        path = waiting.pop()
        labels = taxonomy.children(path)
        short = shortened(labels) if form is Form.NUMBERED else labels
        texts |= {(*path, label): text for label, text in zip(labels, short, strict=True)}
        waiting += [(*path, label) for label in labels]
    return texts


def shortened(labels: Sequence[str]) -> list[str]:
    """Of each sibling the fewest words from its beginning with which no other begins; else the whole of it.

    They differ from each other, as the labels do.
    """
    words = [label.split(" ") for label in labels]
    return [_own_beginning(own, [other for other in words if other is not own]) for own in words]


def _own_beginning(words: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    for count in range(1, len(words)):
        if not any(other[:count] == words[:count] for other in others):
            return " ".join(words[:count])
    return " ".join(words)
