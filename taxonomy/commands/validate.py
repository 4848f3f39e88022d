"""`route-feedback taxonomy validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit
from taxonomy.errors import TaxonomyInvalid
from taxonomy.formats.registry import load_taxonomy


def command(
    file: Annotated[
        Path, typer.Argument(help="The bundled one where none is named.", show_default=False)
    ] = BUNDLED_TAXONOMY,
    json: Json = False,
) -> int:
    """Name every fault of a taxonomy file."""
    try:
        taxonomy = load_taxonomy(file)
    except TaxonomyInvalid as error:
        emit({"valid": False, "faults": error.faults}, str(error), as_json=json)
        return 1
    text = f"{file}: valid, {len(taxonomy.leaves)} leaves, version {taxonomy.version}"
    emit({"valid": True, "version": taxonomy.version, "faults": []}, text, as_json=json)
    return 0
