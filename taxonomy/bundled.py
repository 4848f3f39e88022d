"""The taxonomy that comes with the package: a seller of smart-home cameras, 1,420 leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from taxonomy.formats.registry import load_taxonomy
from taxonomy.tree import Taxonomy

BUNDLED_TAXONOMY: Final = Path(__file__).parent / "data" / "smart_home_cameras.yaml"


def bundled_taxonomy() -> Taxonomy:
    return load_taxonomy(BUNDLED_TAXONOMY)
