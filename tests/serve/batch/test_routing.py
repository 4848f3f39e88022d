"""A file is answered row by row: in order, over what fails, and what was answered stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serve.batch.answerers import Ask, Failed, failed, started_engine
from serve.batch.routing import AT_ONCE, route_file
from serve.batch.rows import AskedRow, RefusedRow, read_comment_file
from serve.http.schemas import RouteRequest
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from taxonomy.errors import DeadlinePassed, EngineFailed
from taxonomy.jsonl import FAULTS_SHOWN
from tests.support.checkpoints import router_on

Answer = Callable[[RouteRequest], Coroutine[Any, Any, dict[str, Any] | Failed]]


def answering(answer: Answer) -> Callable[[], AbstractAsyncContextManager[Ask]]:
    @asynccontextmanager
    async def answerer() -> AsyncIterator[Ask]:
        yield answer

    return answerer


async def echo(request: RouteRequest) -> dict[str, Any] | Failed:
    # The first are answered last.
    await asyncio.sleep(0.02 if request.id in ("1", "2") else 0)
    return failed(DeadlinePassed("too late")) if request.comment == "slow" else {"id": request.id}


def rows_of(folder: Path, *rows: object) -> list[AskedRow | RefusedRow]:
    file = folder / "c.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return list(read_comment_file(file).rows)


async def test_an_engine_that_is_started_for_it_names_as_many_other_paths_as_a_row_asks_for(
    pair: Pair, settings: Settings
) -> None:
    async def start() -> Router:
        return router_on(pair, settings, lambda allowed: (allowed[-1], -0.4))

    async with started_engine(start) as ask:
        for wanted in (0, 2):
            answer = await ask(RouteRequest(comment="It came late.", alternatives=wanted))
            assert not isinstance(answer, Failed)
            assert answer["segments"]
            assert all(len(segment.get("alternatives", [])) == wanted for segment in answer["segments"])


def test_rows_are_answered_in_order_and_those_that_fail_are_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(
        tmp_path, {"comment": "a"}, {"comment": "slow", "id": 2}, {"comment": "b", "rating": 1}, {"comment": "c"}
    )
    out = StringIO()
    assert route_file(answering(echo), rows, None, out) == 1
    one, slow, refused, last = map(json.loads, out.getvalue().splitlines())
    assert (one, last) == ({"id": "1"}, {"id": "4"})
    assert (slow["line"], slow["id"], slow["problem"]["code"], slow["problem"]["status"]) == (
        2,
        "2",
        "deadline_passed",
        504,
    )
    assert (refused["line"], refused["id"], refused["problem"]["status"]) == (3, None, 422)
    assert refused["problem"]["errors"] == [{"field": "rating", "message": "is no field of this request"}]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"route-feedback: {tmp_path}/c.jsonl:3: rating: is no field of this request",
        f"route-feedback: {tmp_path}/c.jsonl:2: 2: too late",
        "route-feedback: 2 answered, 2 failed",
    ]


def test_all_answered_is_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(tmp_path, *({"comment": "a"} for _ in range(3 * AT_ONCE)))
    assert route_file(answering(echo), rows, tmp_path / "out.jsonl", StringIO()) == 0
    answers = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert answers == [str(number) for number in range(1, 3 * AT_ONCE + 1)]
    assert f"{3 * AT_ONCE} answered, 0 failed; they stand in {tmp_path}/out.jsonl" in capsys.readouterr().err


def test_what_was_answered_stays_when_the_work_is_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def until_the_third(request: RouteRequest) -> dict[str, Any] | Failed:
        if request.id == "3":
            raise KeyboardInterrupt
        return {"id": request.id}

    async def gone(request: RouteRequest) -> dict[str, Any] | Failed:
        if request.id == "3":
            raise EngineFailed("the service is gone")
        return {"id": request.id}

    for answer, error in ((until_the_third, KeyboardInterrupt), (gone, EngineFailed)):
        rows = rows_of(tmp_path, *({"comment": "a"} for _ in range(5)))
        out = tmp_path / "out.jsonl"
        with pytest.raises(error):
            route_file(answering(answer), rows, out, StringIO())
        answered = [json.loads(line)["id"] for line in out.read_text().splitlines()]
        assert answered == ["1", "2"][: len(answered)]
        assert f"{len(answered)} answered, 0 failed, {5 - len(answered)} not asked" in capsys.readouterr().err
    assert len(answered) == 2


def test_many_rows_in_error_are_named_up_to_a_bound_and_nothing_is_started_for_them_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def never() -> AbstractAsyncContextManager[Ask]:
        raise AssertionError("an engine was started")

    out = StringIO()
    assert route_file(never, rows_of(tmp_path, *([{"text": "a"}] * (FAULTS_SHOWN + 3))), None, out) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == FAULTS_SHOWN + 2
    assert said[-2:] == [
        "route-feedback: and 3 more rows in error",
        f"route-feedback: 0 answered, {FAULTS_SHOWN + 3} failed",
    ]
    assert all("problem" in json.loads(line) for line in out.getvalue().splitlines())


async def test_an_engine_answers_as_the_service_does(pair: Pair, settings: Settings, client: TestClient) -> None:
    async def start() -> Router:
        return router_on(pair, settings, lambda allowed: (allowed[0], -0.1))

    sent = {"comment": "It came late.", "id": "a", "metadata": {"shop": "north"}, "deadline_ms": 60_000}
    async with started_engine(start) as ask:
        assert await ask(RouteRequest.model_validate(sent)) == client.post("/v1/route", json=sent).json()
        empty = await ask(RouteRequest(comment=" "))
    problem = client.post("/v1/route", json={"comment": " "}).json()
    assert isinstance(empty, Failed)
    assert empty.problem == {name: value for name, value in problem.items() if name != "request_id"}
