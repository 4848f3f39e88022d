"""The taxonomy that comes with the package: a seller of smart-home cameras, 1,420 leaves."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Final

from taxonomy.formats import load
from taxonomy.tree import Taxonomy

BUNDLED_TAXONOMY: Final = FilePath(__file__).parent / "data" / "smart_home_cameras.yaml"


def bundled_taxonomy() -> Taxonomy:
    return load(BUNDLED_TAXONOMY)
