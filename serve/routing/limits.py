"""How much a router takes on."""

from __future__ import annotations

from typing import NamedTuple


class RouteLimits(NamedTuple):
    """max_comment: longest comment, in Unicode code points. max_chunks: most places where one may be cut.

    at_once: comments with the engine at a time. waiting: comments that may wait for their turn.
    """

    max_comment: int
    max_chunks: int
    at_once: int
    waiting: int
