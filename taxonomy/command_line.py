"""What every command line of ours does alike: a tree of commands, each imported when it is called, and its results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Final, TextIO

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand, TyperGroup

from taxonomy.errors import RouteFeedbackError

NAME: Final = "route-feedback"
INTERRUPTED: Final = 130
_FILE_WIDTH: Final = 240
"""Characters that a table may take where no terminal says how wide it is."""
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Sheet = Annotated[str | None, typer.Option("--sheet", metavar="NAME", help="The sheet to read, of a workbook.")]
_results: ContextVar[TextIO | None] = ContextVar("results", default=None)
"""Where results go while standard output is kept for them alone."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the module whose function `command` it is, and its line in the list of commands."""

    module: str
    help: str


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name. default: which of them takes the arguments where the first one names none."""

    help: str
    commands: Mapping[str, Command | Group]
    default: str | None = None


def run(tree: Group, arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments (none given: this process's) name. 0: done, 1: the work failed, 2: the call is wrong."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _group(NAME, tree).main(given, prog_name=NAME)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def emit(value: Any, *shown: str | Table, as_json: bool) -> None:
    """Print a result: for a program `value` (plain values, dataclasses or models) as JSON, for a person `shown`."""
    out = _results.get() or sys.stdout
    if as_json:
        print(to_json(value).decode(), file=out, flush=True)
        return
    for part in shown:
        if isinstance(part, Table):
            # Labels may look like rich's markup, and a file is as wide as its lines.
            Console(file=out, highlight=False, markup=False, width=None if out.isatty() else _FILE_WIDTH).print(part)
        else:
            print(part, file=out, flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], digits: int | None = None) -> Table:
    """Rows for a person to read; what is no text is right-aligned. digits: of each float. None is shown as `-`."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        numeric = all(isinstance(row[at], int | float | None) for row in rows)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(cell, digits) for cell in row))
    return made


def _cell(cell: object, digits: int | None) -> str:
    if isinstance(cell, float) and digits is not None:
        return f"{cell:.{digits}f}"
    return "-" if cell is None else str(cell)


@contextmanager
def results_alone() -> Iterator[TextIO]:
    """Standard output for results alone: what libraries and child processes print goes to standard error."""
    if (kept := _results.get()) is not None:
        yield kept
        return
    stdout = sys.stdout
    stdout.flush()
    own = os.dup(1) if _is_descriptor(stdout, 1) else None
    out = stdout if own is None else open(own, "w", encoding="utf-8", closefd=True)  # noqa: PTH123, SIM115
    if own is not None:
        os.dup2(2, 1)
    sys.stdout, token = sys.stderr, _results.set(out)
    try:
        yield out
    finally:
        sys.stdout = stdout
        _results.reset(token)
        if own is not None:
            out.flush()
            os.dup2(own, 1)
            out.close()


def _is_descriptor(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        return False


class _Running(TyperCommand):
    """A command that says in one line what went wrong; what it returns is the exit code."""

    def invoke(self, ctx: Any) -> None:
        try:
            if ctx.params.get("json"):
                with results_alone():
                    code = super().invoke(ctx)
            else:
                code = super().invoke(ctx)
        except RouteFeedbackError as error:
            code = _failed(str(error), error.exit_code)
        except OSError as error:
            code = _failed(str(error), 1)
        except KeyboardInterrupt:
            code = _failed("stopped", INTERRUPTED)
        if code:
            raise typer.Exit(code)


def _failed(message: str, code: int) -> int:
    print(f"{NAME}: {message}", file=sys.stderr)
    return code


class _Deferred(TyperCommand):
    """A command's place in the lists, until it is called: then its module is imported."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name, help=command.help)
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        function: Callable[..., Any] = import_module(self._command.module).command
        app = typer.Typer(add_completion=False)
        app.command(self.name, cls=_Running)(function)
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


class _Commands(TyperGroup):
    """A group that hands to its default what names none of its commands."""

    default: str | None = None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.default and args[0] not in self.commands:
            return self.default, self.commands[self.default], args
        return super().resolve_command(ctx, args)


def _group(name: str, group: Group) -> TyperGroup:
    commands: dict[str, Any] = {
        each: _group(each, found) if isinstance(found, Group) else _Deferred(each, found)
        for each, found in group.commands.items()
    }
    made = _Commands(name=name, help=group.help, commands=commands, no_args_is_help=True)
    made.default = group.default
    if group.default:
        made.ignore_unknown_options = True
    return made
