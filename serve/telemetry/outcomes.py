"""How a request may end: what its end is called as a metric's label, and the HTTP status that goes with it."""

from __future__ import annotations

from typing import Final, NamedTuple

from taxonomy import errors
from taxonomy.errors import RouteFeedbackError


class Outcome(NamedTuple):
    """What it is called, and the HTTP status that says so."""

    outcome: str
    status: int


def outcome_of(error: type[BaseException]) -> Outcome:
    """The outcome that an error makes."""
    return Outcome(error.code, error.status) if issubclass(error, RouteFeedbackError) else UNEXPECTED


ANSWERED: Final = Outcome("answered", 200)
UNREADABLE: Final = Outcome("request_unreadable", 422)
"""A field of the request is at fault."""
UNEXPECTED: Final = Outcome("unexpected", 500)
VIOLATION: Final = outcome_of(errors.AnswerInvalid)
EXPECTED: Final = (
    ANSWERED,
    UNREADABLE,
    UNEXPECTED,
    *map(
        outcome_of,
        (
            errors.RequestInvalid,
            errors.CommentInvalid,
            errors.CommentTooLong,
            errors.TooManyRequests,
            errors.ClientGone,
            errors.Overloaded,
            errors.NotReady,
            errors.EngineFailed,
            errors.AnswerInvalid,
            errors.DeadlinePassed,
        ),
    ),
)
"""Of a request to route a comment."""
