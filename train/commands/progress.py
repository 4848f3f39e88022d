"""What a long command says of its way: lines on standard error, so that standard output is the result's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LINE_EVERY_S: Final = 30.0


def say(line: str) -> None:
    """One line for a person."""
    print(f"== {line}", file=sys.stderr, flush=True)


@contextmanager
def progress(unit: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
    """Gives what is told how many are done, and a word beside; a bar on a terminal, elsewhere a line now and then."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit=f" {unit}", leave=False) as bar:

            def moved(done: int, beside: str) -> None:
                bar.set_postfix_str(beside)
                bar.update(done - bar.n)

            yield moved
        return
    said = time.monotonic()

    def line(done: int, beside: str) -> None:
        nonlocal said
        if time.monotonic() - said > _LINE_EVERY_S:
            said = time.monotonic()
            say(f"{done}{f' of {total}' if total else ''} {unit}, {beside}")

    yield line
