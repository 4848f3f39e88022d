"""`route-feedback taxonomy validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, Sheet, emit
from taxonomy.errors import TaxonomyInvalid
from taxonomy.formats.registry import read_taxonomy
from taxonomy.tree import Taxonomy


def command(
    file: Annotated[
        Path, typer.Argument(help="The bundled one where none is named.", show_default=False)
    ] = BUNDLED_TAXONOMY,
    sheet: Sheet = None,
    json: Json = False,
) -> int:
    """Name every fault of a taxonomy file."""
    try:
        taxonomy, read = read_taxonomy(file, sheet)
    except TaxonomyInvalid as error:
        emit({"valid": False, "faults": error.faults}, str(error), as_json=json)
        return 1
    said = [*read, *_without_team(taxonomy)]
    lines = [
        f"{file}: valid, {len(taxonomy.leaves)} leaves, version {taxonomy.version}",
        *(f"  {each}" for each in said),
    ]
    emit({"valid": True, "version": taxonomy.version, "faults": [], "read": said}, "\n".join(lines), as_json=json)
    return 0


def _without_team(taxonomy: Taxonomy) -> list[str]:
    """Where others have one: a column that was filled in halfway."""
    without = sum(not leaf.team for leaf in taxonomy.leaves)
    return [f"{without} of {len(taxonomy.leaves)} leaves have no team"] if 0 < without < len(taxonomy.leaves) else []
