"""What reading a taxonomy file gives."""

from __future__ import annotations

from typing import NamedTuple

from taxonomy.tree import Taxonomy


class Loaded(NamedTuple):
    """read: what was read otherwise than a plain file, a line each: the sheet, the delimiter, parents carried down."""

    taxonomy: Taxonomy
    read: tuple[str, ...] = ()
