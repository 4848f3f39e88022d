"""What the world outside calls an error is written down, and hangs on no class name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from taxonomy import errors
from taxonomy.errors import CommentTooLong, RouteFeedbackError

CONTRACT = {
    "call_wrong": 400,
    "taxonomy_invalid": 422,
    "data_invalid": 422,
    "comment_invalid": 422,
    "comment_too_long": 413,
    "request_invalid": 400,
    "deadline_passed": 504,
    "checkpoint_invalid": 409,
    "checkpoint_unknown": 404,
    "registry_failed": 503,
    "activation_refused": 409,
    "lease_held": 409,
    "fingerprint_differs": 409,
    "activation_failed": 500,
    "trial_ended": 409,
    "not_allowed": 403,
    "engine_failed": 503,
    "answer_invalid": 503,
    "overloaded": 503,
    "too_many_requests": 429,
    "client_gone": 499,
    "not_ready": 503,
    "reinforcement_refused": 500,
    "recipe_invalid": 500,
    "training_stopped": 500,
    "training_diverged": 500,
    "write_failed": 500,
    "process_failed": 500,
}
"""Each code with its HTTP status: dashboards, alerts and clients go by them, so none is changed, only added."""


def subclasses(of: type[RouteFeedbackError] = RouteFeedbackError) -> Iterator[type[RouteFeedbackError]]:
    for error in of.__subclasses__():
        yield error
        yield from subclasses(error)


ALL = [error for error in subclasses() if error.__module__ == errors.__name__]


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_has_a_code_and_a_title_of_its_own(error: type[RouteFeedbackError]) -> None:
    assert {"code", "title"} <= vars(error).keys()
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.title


def test_no_code_and_no_title_means_two_things() -> None:
    codes, titles = Counter(error.code for error in ALL), Counter(error.title for error in ALL)
    assert set(codes.values()) == set(titles.values()) == {1}


def test_codes_and_statuses_are_those_that_clients_know() -> None:
    assert {error.code: error.status for error in ALL} == CONTRACT


def test_a_class_of_another_name_is_called_the_same() -> None:
    class Renamed(CommentTooLong):
        """As if the class had been renamed."""

    assert (Renamed.code, Renamed.title) == ("comment_too_long", "Comment too long")
