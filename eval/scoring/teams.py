"""Whether a segment went to the team that its gold segment goes to."""

from __future__ import annotations

from typing import Final

from eval.scoring.columns import Numbers, Paths
from eval.scoring.matched import Matched, Verdicts
from taxonomy.tree import Taxonomy

UNKNOWN: Final = -1
"""The number of the team of a path that is no leaf of the taxonomy."""


def team_names(taxonomy: Taxonomy) -> list[str]:
    """By number; a leaf without a team has the empty one."""
    return sorted({leaf.team for leaf in taxonomy.leaves})


def team_numbers(paths: Paths, taxonomy: Taxonomy) -> Numbers:
    """Of each path's code the number of its team."""
    number = {name: code for code, name in enumerate(team_names(taxonomy))}
    return paths.each(lambda path: number[taxonomy.leaf(path).team] if path in taxonomy else UNKNOWN)


def right_team(both: Matched, taxonomy: Taxonomy) -> Verdicts:
    """Of each pair, whether both leaves have the same team."""
    number = team_numbers(both.paths, taxonomy)
    known: Verdicts = number[both.gold.path[both.pairs.gold]] != UNKNOWN
    return known & both.equal(number[both.gold.path], number[both.predicted.path])
