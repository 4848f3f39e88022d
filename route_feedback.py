"""The `route-feedback` command: each room's program under one name. Rooms are imported only when they are called."""

from __future__ import annotations

import sys
from importlib import import_module

ROOMS = {
    "serve": ("serve.commands.serve", "the service over HTTP"),
    "route": ("serve.commands.serve", "route a comment or a file without HTTP, or by asking a running service"),
    "taxonomy": ("taxonomy.commands.app", "validate, stats, convert, diff, migrate"),
    "checkpoint": ("serve.commands.checkpoint", "verify a checkpoint; the registry: which serves, and which served"),
    "train": ("train.commands.app", "make a checkpoint from a recipe"),
    "corpus": ("train.commands.app", "write comments of the bundled corpus, or its card"),
    "eval": ("eval.commands.app", "score predictions"),
    "bench": ("eval.commands.app", "how fast, beside vLLM as it comes"),
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 (done), 1 (the work failed) or 2 (the call is wrong)."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in {"-h", "--help"}:
        print(_help())
        return 0 if given else 2
    if given[0] not in ROOMS:
        print(f"route-feedback: there is no command {given[0]!r}\n\n{_help()}", file=sys.stderr)
        return 2
    room = import_module(ROOMS[given[0]][0])
    code: int = room.main(given)
    return code


def _help() -> str:
    width = max(map(len, ROOMS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in ROOMS.items()]
    return "usage: route-feedback COMMAND ... (each with --help)\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
