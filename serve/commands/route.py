"""`route-feedback route`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from serve.commands.options import Checkpoint, SettingsFile, TaxonomyFile, check_named, settings_of
from taxonomy.command_line import NAME, results_alone
from taxonomy.errors import CallWrong, CommentInvalid

if TYPE_CHECKING:  # what runs is imported when it runs
    from serve.batch.answerers import Ask
    from serve.routing.router import Router

_FILE: Final = (
    "JSONL, or CSV, TSV, XLSX with columns: rows of what POST /v1/route takes (comment, id, metadata, deadline_ms, "
    "alternatives; as columns: comment or text, id, deadline_ms, alternatives, metadata.NAME). A row in error is named "
    "and the others are answered; then the exit code is 1."
)
_ALTERNATIVES: Final = "So many other paths of each segment, the likeliest first (0 to 5); a row may say otherwise."
_OUT: Final = (
    "JSONL in the order of the rows: an answer each, and line, id and problem of a row that failed; standard output "
    "where none is named. Written row by row: after Ctrl-C what was answered stands there."
)


def command(
    text: Annotated[str | None, typer.Argument(help="One comment.")] = None,
    file: Annotated[Path | None, typer.Option(help=_FILE)] = None,
    out: Annotated[Path | None, typer.Option(help=_OUT)] = None,
    url: Annotated[str | None, typer.Option(help="Ask a running service, such as http://127.0.0.1:8000.")] = None,
    alternatives: Annotated[int, typer.Option(min=0, max=5, help=_ALTERNATIVES)] = 0,
    sheet: Annotated[str | None, typer.Option(help="The workbook's sheet, where several have such columns.")] = None,
    checkpoint: Checkpoint = None,
    taxonomy: TaxonomyFile = None,
    settings: SettingsFile = None,
) -> int:
    """Route a comment or a file, here or by asking a running service."""
    if (file is None) == (text is None):
        raise CallWrong("give either a comment or --file, and not both")
    from serve.batch.routing import route_file, route_one
    from serve.batch.rows import AskedRow, read_comment_file, with_defaults
    from serve.http.schemas import RouteRequest

    # Not asked for, it is not sent: an older service would refuse a field that it does not know.
    wanted = {"alternatives": alternatives} if alternatives else {}
    if file is None:
        request = RouteRequest(comment=_text(str(text)), id=None if url else "1").model_copy(update=wanted)
        answerer = _answerer(url, checkpoint, taxonomy, settings)
        with results_alone() as stdout:
            return asyncio.run(route_one(answerer, AskedRow("", 1, request), stdout))
    if out is not None:
        _check_out(file, out)
    comments = read_comment_file(file, sheet)
    for line in comments.read:
        print(f"{NAME}: {file}: {line}", file=sys.stderr)
    # All of them first: what cannot be asked is named before an engine is loaded.
    rows = [with_defaults(row, wanted) for row in comments.rows]
    with results_alone() as stdout:
        return route_file(lambda: _answerer(url, checkpoint, taxonomy, settings), rows, out, stdout)


def _answerer(
    url: str | None, checkpoint: str | None, taxonomy: str | None, settings: Path | None
) -> AbstractAsyncContextManager[Ask]:
    """Raises CallWrong, CheckpointInvalid."""
    from serve.batch.answerers import running_service, started_engine

    if url:
        return running_service(url)
    chosen = settings_of(settings, checkpoint=checkpoint, taxonomy=taxonomy)
    check_named(chosen)

    def start() -> Awaitable[Router]:
        from serve.start import first_pair, start_router

        return start_router(chosen, *first_pair(chosen))

    return started_engine(start)


def _text(given: str) -> str:
    """Raises CommentInvalid for bytes of the command line that are no text."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise CommentInvalid("the comment is not UTF-8; send the customer's text as such") from error
    return given


def _check_out(file: Path, out: Path) -> None:
    """Said before the work is done, and not after. Raises CallWrong."""
    if not out.parent.is_dir():
        raise CallWrong(f"--out: there is no folder {out.parent}")
    if out.is_file() and file.is_file() and out.samefile(file):
        raise CallWrong(f"--out: {out} is the file that is read; name another")
