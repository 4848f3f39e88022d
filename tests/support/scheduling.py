"""Which tests one worker takes where they run in parallel: a file stays whole, and all engines are one worker's."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINES = frozenset({"live", "stage"})
"""Fixtures that start vLLM, which takes half a minute and a core: two workers would start two."""
_ASKED_FOR = re.compile(rf"\b({'|'.join(sorted(ENGINES))}): [A-Z]")


@cache
def scope_of(file: str) -> str:
    """The name of what a test file, given by its path below the root, is run with. Raises OSError."""
    return "engines" if _ASKED_FOR.search((ROOT / file).read_text(encoding="utf-8")) else file


def rank_of(file: str) -> int:
    """What takes longest begins first, so that no worker is left with it: engines, then trainings."""
    return 0 if scope_of(file) == "engines" else 1 if file.startswith("tests/train/") else 2
