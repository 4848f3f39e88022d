"""`route-feedback taxonomy stats`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, Sheet, emit
from taxonomy.formats.registry import load_taxonomy
from taxonomy.labels import LEVELS


def command(
    file: Annotated[
        Path, typer.Argument(help="The bundled one where none is named.", show_default=False)
    ] = BUNDLED_TAXONOMY,
    sheet: Sheet = None,
    json: Json = False,
) -> None:
    """Count its labels, teams and workflows."""
    taxonomy = load_taxonomy(file, sheet)
    levels = {
        LEVELS[level - 1]: len({leaf.path[:level] for leaf in taxonomy.leaves if len(leaf.path) >= level})
        for level in range(1, taxonomy.depth + 1)
    }
    leaves = Counter(LEVELS[len(leaf.path) - 1] for leaf in taxonomy.leaves)
    teams = Counter(leaf.team or "(none)" for leaf in taxonomy.leaves)
    workflows = Counter(leaf.workflow or "(none)" for leaf in taxonomy.leaves)
    lines = [
        f"version {taxonomy.version}",
        *(f"{level}: {count} labels, {leaves[level]} of them leaves" for level, count in levels.items()),
        "leaves by team:",
        *(f"  {count:>5}  {team}" for team, count in teams.most_common()),
        f"workflows: {len(workflows)}",
    ]
    value = {
        "version": taxonomy.version,
        "levels": levels,
        "leaves": {level: leaves[level] for level in levels},
        "teams": dict(teams),
        "workflows": dict(workflows),
    }
    emit(value, "\n".join(lines), as_json=json)
