"""The forms of an answer, between a checkpoint and the service; what the API returns is the same in both."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """Part of what a checkpoint and the service agree on: a checkpoint answers only in the form it was trained in.

    VERBATIM: the prompt shows the comment, and the answer copies it, segment by segment, as JSON with its labels.
    MARKED: the answer is the comment itself, which stands nowhere else. Where a segment has ended, which is said after
    one chunk more, its labels stand, each a token that the tokenizer was given for it.
    """

    VERBATIM = "verbatim"
    MARKED = "marked"
