"""What every command line of ours does alike: parse, run, and say in one line what went wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from taxonomy.errors import RouteFeedbackError

Command = Callable[[argparse.Namespace], int]


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Run the command that the parser set as `run`. 0: done, 1: the work failed, 2: the call is wrong."""
    try:
        given = parser.parse_args(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    command: Command = given.run
    try:
        return command(given)
    except RouteFeedbackError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped", file=sys.stderr)
        return 130


def tell(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result for a person, or for a program."""
    print(json.dumps(value, ensure_ascii=False) if as_json else text)
