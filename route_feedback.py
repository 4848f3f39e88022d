"""The `route-feedback` command: each room's program under one name. Rooms are imported only when they are called."""

from __future__ import annotations

import sys
from importlib import import_module

ROOMS = {
    "serve": ("serve.__main__", "the service over HTTP"),
    "route": ("serve.__main__", "route a comment or a file without HTTP, or by asking a running service"),
    "taxonomy": ("taxonomy.__main__", "validate, stats, convert, diff, migrate"),
    "checkpoint": ("serve.checkpoint_commands", "verify a checkpoint; the registry: which serves, and which served"),
    "train": ("train.__main__", "make a checkpoint from a recipe"),
    "corpus": ("train.__main__", "write comments of the bundled corpus, or its card"),
    "eval": ("eval.__main__", "score predictions"),
    "bench": ("eval.__main__", "how fast, beside vLLM as it comes"),
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
