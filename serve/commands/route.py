"""`route-feedback route`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer
from tqdm import tqdm

from serve.commands.options import Checkpoint, SettingsFile, TaxonomyFile, check_named, settings_of
from taxonomy.command_line import results_alone
from taxonomy.errors import CallWrong, DataInvalid, EngineFailed, RouteFeedbackError

if TYPE_CHECKING:
    from serve.settings import Settings

AT_ONCE: Final = 32
Request = dict[str, str]
Ask = Callable[[Request], Awaitable[dict[str, Any]]]


def command(
    text: Annotated[str | None, typer.Argument(help="One comment.")] = None,
    file: Annotated[Path | None, typer.Option(help='JSONL with a "comment" and maybe an "id" a line.')] = None,
    out: Annotated[Path | None, typer.Option(help="JSONL of the answers; standard output where none is named.")] = None,
    url: Annotated[str | None, typer.Option(help="Ask a running service, such as http://127.0.0.1:8000.")] = None,
    checkpoint: Checkpoint = None,
    taxonomy: TaxonomyFile = None,
    settings: SettingsFile = None,
) -> int:
    """Route a comment or a file, here or by asking a running service."""
    if file is not None and text is None:
        requests = list(_requests(file))
    elif text is not None and file is None:
        requests = [{"comment": text}]
    else:
        raise CallWrong("give either a comment or --file, and not both")
    if url:
        asking = _service(url)
    else:
        chosen = settings_of(settings, checkpoint=checkpoint, taxonomy=taxonomy)
        check_named(chosen)
        asking = _engine(chosen)
    with results_alone() as stdout:
        return asyncio.run(_route(asking, requests, out, stdout))


def _requests(file: Path) -> Iterator[Request]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                request = {"id": row.get("id", str(number)), "comment": row["comment"]}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataInvalid(f'{file}:{number}: not an object with a "comment"') from error
            for name, value in request.items():
                if not isinstance(value, str):
                    raise DataInvalid(f"{file}:{number}: {name} is not text")
            yield request


@asynccontextmanager
async def _service(url: str) -> AsyncIterator[Ask]:
    """A running service answers."""
    import httpx

    async with httpx.AsyncClient(base_url=url, timeout=600) as client:

        async def ask(request: Request) -> dict[str, Any]:
            try:
                response = await client.post("/v1/route", json=request)
                body: dict[str, Any] = response.json()
            except (httpx.HTTPError, ValueError) as error:
                raise EngineFailed(f"{client.base_url} did not answer: {error or type(error).__name__}") from error
            if response.is_error:
                raise EngineFailed(
                    f"{client.base_url} refused {request.get('id', 'the comment')}: {body.get('detail')}"
                )
            return body

        yield ask


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Ask]:
    """An engine that is started for this answers."""
    from serve.http.schemas import response_of
    from serve.start import first_pair, start_router

    router = await start_router(settings, *first_pair(settings))

    async def ask(request: Request) -> dict[str, Any]:
        answer = await router.route(request["comment"])
        return response_of(answer, router.pair, request.get("id", "1"), {}).model_dump(exclude_none=True)

    try:
        yield ask
    finally:
        await router.close()


async def _route(
    asking: AbstractAsyncContextManager[Ask], requests: list[Request], out: Path | None, stdout: TextIO
) -> int:
    """Answers in the order of the requests, written as they come; those that fail are named and counted."""
    failed = 0
    async with asking as ask:
        with out.open("w", encoding="utf-8") if out else nullcontext(stdout) as target:
            for start in tqdm(
                range(0, len(requests), AT_ONCE), unit=f"x{AT_ONCE} comments", disable=len(requests) < AT_ONCE
            ):
                batch = requests[start : start + AT_ONCE]
                answers = await asyncio.gather(*map(ask, batch), return_exceptions=True)
                failed += _write(target, zip(batch, answers, strict=True))
    return 1 if failed else 0


def _write(target: TextIO, answered: Iterable[tuple[Request, dict[str, Any] | BaseException]]) -> int:
    """The number of those that failed."""
    failed = 0
    for request, answer in answered:
        if isinstance(answer, RouteFeedbackError):
            failed += 1
            print(f"route-feedback: {request.get('id', 'the comment')}: {answer}", file=sys.stderr)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            target.write(json.dumps(answer, ensure_ascii=False) + "\n")
    target.flush()
    return failed
