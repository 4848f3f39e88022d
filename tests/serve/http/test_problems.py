"""Problems are called by codes that stay, and every kind of failure is one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serve.http import problems
from serve.http.app import RequestIds
from serve.http.problems import MEDIA_TYPE
from serve.telemetry.outcomes import EXPECTED, UNREADABLE
from taxonomy import errors

URN = "urn:route-feedback:"
KINDS = {
    "comment_too_long": (errors.CommentTooLong("x"), 413, f"{URN}comment-too-long", "Comment too long"),
    "activation_refused": (errors.ActivationRefused("x"), 409, f"{URN}activation-refused", "Activation refused"),
    "overloaded": (errors.Overloaded("x", 7), 503, f"{URN}overloaded", "Overloaded"),
    "too_many_requests": (errors.TooManyRequests("x", 7), 429, f"{URN}too-many-requests", "Too many requests"),
    "unexpected": (ZeroDivisionError("x"), 500, "about:blank", "Internal Server Error"),
}


class OfAnotherName(errors.AnswerInvalid):
    """As if the class had been renamed."""


@pytest.fixture
def raising() -> Iterator[tuple[TestClient, list[Exception]]]:
    """An app whose one route raises the last of the errors."""
    app, errors_to_raise = FastAPI(), list[Exception]()
    app.add_middleware(RequestIds)
    problems.install(app)

    @app.get("/raise")
    async def fail() -> None:
        raise errors_to_raise[-1]

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, errors_to_raise


def problem_of(raising: tuple[TestClient, list[Exception]], error: Exception) -> dict[str, Any]:
    client, errors_to_raise = raising
    errors_to_raise.append(error)
    answer = client.get("/raise")
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert ("retry-after" in answer.headers) == problem["retryable"]
    return problem


@pytest.mark.parametrize("code", KINDS)
def test_a_problem_is_called_what_it_has_always_been_called(
    raising: tuple[TestClient, list[Exception]], code: str
) -> None:
    error, status, kind, title = KINDS[code]
    problem = problem_of(raising, error)
    assert (problem["status"], problem["type"], problem["code"], problem["title"]) == (status, kind, code, title)


def test_a_class_of_another_name_makes_the_same_problem(raising: tuple[TestClient, list[Exception]]) -> None:
    kinds = [problem_of(raising, error) for error in (errors.AnswerInvalid("x"), OfAnotherName("x"))]
    assert kinds[0] | {"request_id": ""} == kinds[1] | {"request_id": ""}


def test_the_wait_is_that_of_the_error(raising: tuple[TestClient, list[Exception]]) -> None:
    client, errors_to_raise = raising
    waits = []
    for error in (errors.Overloaded("x", 7), errors.RegistryFailed("x")):
        errors_to_raise.append(error)
        waits.append(client.get("/raise").headers["retry-after"])
    assert waits == ["7", str(problems.RETRY_AFTER_S)]


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nowhere", "not_found"), ("POST", "/raise", "method_not_allowed")]
)
def test_what_the_framework_refuses_is_called_by_its_status(
    raising: tuple[TestClient, list[Exception]], method: str, path: str, code: str
) -> None:
    problem = raising[0].request(method, path).json()
    assert (problem["type"], problem["code"]) == ("about:blank", code)


def test_a_field_at_fault_is_the_requests_fault(client: TestClient) -> None:
    problem = client.post("/v1/route", json={"comment": "late", "coment": "x"}).json()
    assert (problem["type"], problem["code"]) == ("urn:route-feedback:request-invalid", "request_invalid")
    assert problem["errors"] == [{"field": "coment", "message": "is no field of this request"}]


def test_an_unexpected_error_says_nothing_of_itself(raising: tuple[TestClient, list[Exception]]) -> None:
    problem = problem_of(raising, ValueError("the comment was: it came late"))
    assert "late" not in str(problem)


@pytest.mark.parametrize("module", ["serve.http.schemas", "serve.http.problems", "serve.telemetry.outcomes"])
def test_what_a_client_of_the_service_imports_brings_no_model_library(module: str) -> None:
    heavy = "{'torch', 'transformers', 'vllm'}"
    code = f"import sys, {module}; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_readme_names_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`[a-z_`, ]+`) \|", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE)
    written = {(int(status), code) for status, codes in rows for code in re.findall(r"[a-z_]+", codes)}
    of_requests = {(outcome.status, outcome.outcome) for outcome in EXPECTED if outcome.status >= 400}
    # What nobody reads, and what problems call `request_invalid`.
    assert of_requests - {(499, "client_gone"), UNREADABLE[::-1]} <= written
    known = {(error.status, error.code) for error in vars(errors).values() if hasattr(error, "code")}
    assert written <= known | {(422, "request_invalid"), (500, "unexpected")}
