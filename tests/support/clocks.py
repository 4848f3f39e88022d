"""A clock that a test moves on by hand."""

from __future__ import annotations


class ManualClock:
    """Monotonic seconds; they pass where a test sets `now`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
