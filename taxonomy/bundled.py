"""The taxonomy that comes with the package: a seller of smart-home cameras, 1,420 leaves."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from taxonomy.tree import Taxonomy

BUNDLED_TAXONOMY: Final = Path(__file__).parent / "data" / "smart_home_cameras.yaml"


@cache
def bundled_taxonomy() -> Taxonomy:
    """Read once."""
    # Settings name the file; only who reads it imports the readers, of which openpyxl's takes a third of a second.
    from taxonomy.formats.registry import load_taxonomy  # noqa: PLC0415

    return load_taxonomy(BUNDLED_TAXONOMY)
