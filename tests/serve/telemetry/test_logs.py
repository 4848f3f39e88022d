"""Logs for machines: one JSON object a line, with the request's id and never the customer's text."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serve.engine.protocol import Decoded, ScriptedEngine
from serve.routing.pair import Pair
from serve.telemetry.logs import Form, configure, formatter
from tests.serve.telemetry.test_metrics import Failing, app_with

TEXT = "Zebrafish 4711 came late."


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """Everything that is logged, as JSON lines."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter("json"))
    root, serve = logging.getLogger(), logging.getLogger("serve")
    root.addHandler(handler)
    before = serve.level
    serve.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    serve.setLevel(before)


def parsed(lines: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_every_request_is_one_line_with_its_id_and_outcome(
    pair: Pair, scripted: ScriptedEngine, lines: StringIO
) -> None:
    with app_with(pair, scripted)[0] as client:
        right = client.post("/v1/route", json={"comment": TEXT})
        wrong = client.post("/v1/route", json={"comment": ""})
    ended = [line for line in parsed(lines) if line["message"] == "request ended"]
    assert [(line["outcome"], line["status"]) for line in ended] == [("answered", 200), ("comment_invalid", 422)]
    assert [line["request_id"] for line in ended] == [r.headers["x-request-id"] for r in (right, wrong)]
    assert all(line["level"] == "info" and line["seconds"] >= 0 for line in ended)


@pytest.mark.parametrize(
    "end", [Decoded((), ()), ZeroDivisionError(f"a bug on {TEXT}"), ValueError(TEXT)], ids=["none", "bug", "value"]
)
def test_no_line_holds_the_comment_even_where_an_error_quotes_it(
    pair: Pair, end: Decoded | Exception, lines: StringIO
) -> None:
    with app_with(pair, Failing(end))[0] as client:
        client.post("/v1/route", json={"comment": TEXT, "id": "order-99", "metadata": {"a": "Zebrafish"}})
    assert "request ended" in lines.getvalue()
    assert "Zebrafish" not in lines.getvalue()
    assert "order-99" not in lines.getvalue()


def test_an_unexpected_error_says_where_it_happened(pair: Pair, lines: StringIO) -> None:
    with app_with(pair, Failing(ZeroDivisionError("a bug")))[0] as client:
        response = client.post("/v1/route", json={"comment": TEXT})
    (line,) = [line for line in parsed(lines) if line["level"] == "error"]
    assert line["request_id"] == response.json()["request_id"]
    assert "ZeroDivisionError at" in line["exception"]
    assert "test_metrics.py" in line["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_behind_another_is_named_without_its_words(form: Form) -> None:
    error = KeyError(TEXT)
    error.__cause__ = ValueError(TEXT)
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (KeyError, error, None)})
    line = formatter(form).format(record)
    assert "KeyError at" in line
    assert "ValueError at" in line
    assert TEXT not in line


def test_a_message_with_line_breaks_stays_one_line(lines: StringIO) -> None:
    logging.getLogger("serve.test").warning("one\ntwo", extra={"file": "a\nb"})
    (line,) = parsed(lines)
    assert (line["message"], line["file"]) == ("one\ntwo", "a\nb")


def test_the_client_is_told_the_id_that_the_log_has(pair: Pair, lines: StringIO) -> None:
    client: TestClient
    with app_with(pair, Failing(Decoded((), ())))[0] as client:
        problem = client.post("/v1/route", json={"comment": TEXT}).json()
    assert {line["request_id"] for line in parsed(lines)} == {problem["request_id"]}


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Logging as it was before the test."""
    root, serve = logging.getLogger(), logging.getLogger("serve")
    before = [*root.handlers], root.level, serve.level
    yield
    root.handlers[:], root.level = before[:2]
    serve.setLevel(before[2])


@pytest.mark.usefixtures("unconfigured")
def test_lines_of_libraries_have_the_same_form_and_follow_the_same_rule(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    library = logging.getLogger("some.library")
    library.info("of no interest")
    library.error("failed on %d", 4, exc_info=ValueError(TEXT), extra={"color_message": "failed"})
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert list(line) == ["time", "level", "logger", "message", "exception"]
    assert (line["level"], line["logger"], line["message"]) == ("error", "some.library", "failed on 4")
    assert line["exception"].startswith("ValueError at")


@pytest.mark.usefixtures("unconfigured")
def test_a_person_at_a_terminal_is_told_of_what_is_wrong_alone(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    log = logging.getLogger("serve.test")
    log.info("request ended", extra={"outcome": "answered"})
    log.warning("the lease is not renewed: %s", "gone")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8},\d{3} WARNING serve.test: the lease is not renewed: gone", line)


def test_importing_configures_nothing() -> None:
    code = "import logging, serve.telemetry.logs; print(logging.getLogger().handlers)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.usefixtures("unconfigured")
def test_what_a_library_puts_on_every_record_is_no_field(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logging.getLogRecordFactory()

    def factory(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = before(*arguments, **options)
        record.process_title = "MainProcess"
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", factory)
    configure("json")
    logging.getLogger("some.library").error("failed", extra={"attempt": 2})
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert list(line) == ["time", "level", "logger", "message", "attempt"]
