"""What a long command says of its way: lines on standard error, so that standard output is the result's."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """One line for a person."""
    print(f"== {line}", file=sys.stderr, flush=True)
