"""Rows of a file, answered in their order: what fails is named, counted, and stands as a problem in its place."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from serve.batch.answerers import Ask, Failed, problem_of
from serve.batch.rows import AskedRow, RefusedRow
from taxonomy.command_line import NAME
from taxonomy.errors import RequestInvalid
from taxonomy.jsonl import FAULTS_SHOWN

AT_ONCE: Final = 32
_LINE_EVERY_S: Final = 30.0
FileRow: TypeAlias = AskedRow | RefusedRow
Answerer: TypeAlias = AbstractAsyncContextManager[Ask]


@dataclass
class Counts:
    """Rows by what became of them; `failed` counts those too that could not be asked."""

    rows: int
    answered: int = 0
    failed: int = 0
    failed_when_asked: int = 0

    def __str__(self) -> str:
        left = self.rows - self.answered - self.failed
        return f"{self.answered} answered, {self.failed} failed" + f", {left} not asked" * (left > 0)


def route_file(answerer: Callable[[], Answerer], rows: Sequence[FileRow], out: Path | None, stdout: TextIO) -> int:
    """Answer them into a file or standard output; the exit code. Rows that cannot be asked are named before all else.

    Raises EngineFailed, OSError; what was answered until then, or until an interruption, stays written.
    """
    counts = Counts(len(rows))
    refused = [row.reason for row in rows if isinstance(row, RefusedRow)]
    for reason in refused[:FAULTS_SHOWN]:
        _say(reason)
    if len(refused) > FAULTS_SHOWN:
        _say(f"and {len(refused) - FAULTS_SHOWN} more rows in error")
    # Without a row to ask no engine is worth its start.
    chosen = answerer if len(refused) < len(rows) else _nobody
    try:
        asyncio.run(_routed(chosen(), rows, out, stdout, counts))
    finally:
        _say(f"{counts}" + f"; they stand in {out}" * (out is not None and counts.answered + counts.failed > 0))
    return 1 if counts.failed else 0


async def route_one(answerer: Answerer, row: AskedRow, stdout: TextIO) -> int:
    """Answer one comment on standard output; the exit code. Raises EngineFailed."""
    async with answerer as ask:
        answer = await ask(row.request)
    if isinstance(answer, Failed):
        _say(answer.reason)
        return 1
    _write(stdout, answer)
    return 0


async def _routed(
    answerer: Answerer, rows: Sequence[FileRow], out: Path | None, stdout: TextIO, counts: Counts
) -> None:
    async with answerer as ask:
        with out.open("w", encoding="utf-8") if out else nullcontext(stdout) as target, _progress(counts) as moved:
            async with aclosing(_in_order(ask, rows)) as answers:
                async for row, answer in answers:
                    _write(target, _noted(row, answer, counts) if isinstance(answer, Failed) else answer)
                    counts.answered += not isinstance(answer, Failed)
                    moved()


def _noted(row: FileRow, failed: Failed, counts: Counts) -> dict[str, Any]:
    """The row of one that failed, which is counted, and named where that is not done yet."""
    counts.failed += 1
    if isinstance(row, RefusedRow):
        return {"line": row.line, "id": row.id, "problem": failed.problem}
    counts.failed_when_asked += 1
    if counts.failed_when_asked <= FAULTS_SHOWN:
        _say(f"{row.where}: {row.request.id}: {failed.reason}")
    elif counts.failed_when_asked == FAULTS_SHOWN + 1:
        _say("more rows fail; each stands in the output with its problem")
    return {"line": row.line, "id": row.request.id, "problem": failed.problem}


async def _in_order(ask: Ask, rows: Sequence[FileRow]) -> AsyncGenerator[tuple[FileRow, dict[str, Any] | Failed], None]:
    """Each row with its answer, a bounded number of them asked at a time."""
    asked: deque[tuple[FileRow, asyncio.Future[dict[str, Any] | Failed]]] = deque()
    following = iter(rows)
    try:
        while True:
            while len(asked) < AT_ONCE and (row := next(following, None)) is not None:
                asked.append((row, asyncio.ensure_future(_answer(ask, row))))
            if not asked:
                return
            row, answer = asked[0]
            yield row, await answer
            asked.popleft()
    finally:
        for _, answer in asked:
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)


async def _answer(ask: Ask, row: FileRow) -> dict[str, Any] | Failed:
    if isinstance(row, AskedRow):
        return await ask(row.request)
    problem = problem_of(RequestInvalid(row.reason), row.faults)
    return Failed(problem | {"status": int(HTTPStatus.UNPROCESSABLE_ENTITY)}, row.reason)  # as over HTTP


@asynccontextmanager
async def _nobody() -> AsyncIterator[Ask]:
    async def ask(_: Any) -> Failed:
        raise RuntimeError("no row was to be asked")

    yield ask


@contextmanager
def _progress(counts: Counts) -> Iterator[Callable[[], None]]:
    """Long work says how far it is: as a bar on a terminal, elsewhere as a line every half minute."""
    console = Console(stderr=True)
    if console.is_terminal and counts.rows > AT_ONCE:
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("routing", total=counts.rows)
            yield lambda: progress.update(task, completed=counts.answered + counts.failed)
        return
    said = time.monotonic()

    def line() -> None:
        nonlocal said
        if time.monotonic() - said > _LINE_EVERY_S:
            said = time.monotonic()
            _say(f"{counts.answered + counts.failed} of {counts.rows} rows")

    yield line


def _say(line: str) -> None:
    print(f"{NAME}: {line}", file=sys.stderr, flush=True)


def _write(target: TextIO, row: dict[str, Any]) -> None:
    target.write(json.dumps(row, ensure_ascii=False) + "\n")
    target.flush()  # row by row: an interruption loses none that was answered
