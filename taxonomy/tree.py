"""The taxonomy: leaves, each a whole path of one to four labels, with its scope, team and workflow."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from taxonomy.labels import LabelPath, TaxonomyId

DEFAULT_REVIEW_BELOW = 0.5
ReviewBy = Literal["team", "leaf"]
REVIEW_BY: Final[tuple[ReviewBy, ...]] = ("team", "leaf")
"""What may decide whether a segment needs a person's eye; the first does where a taxonomy says nothing."""
_NAMED = 3
"""Labels that a fault lists."""


@dataclass(frozen=True, slots=True)
class Note:
    """What an inner node may say of itself; teams and workflows are resolved onto the leaves."""

    description: str = ""
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One class: its path from L1 down, its one-line scope, and who works on it (inheritance resolved)."""

    path: LabelPath
    description: str = ""
    synonyms: tuple[str, ...] = ()
    team: str = ""
    workflow: str = ""


@dataclass(frozen=True)
class Taxonomy:
    """A valid taxonomy: leaves at levels 1 to 4, in path order. Made by `taxonomy.formats.registry.load`.

    A path may end above another's last level; no leaf stands above another.
    review_by: what decides whether a segment needs a person's eye: how sure its team is, or its leaf (each of its
    levels, and its emotion). review_below: it does if that is under this (0 to 1), where no calibration says better.
    """

    leaves: tuple[Leaf, ...]
    notes: Mapping[LabelPath, Note] = field(default_factory=dict)
    review_below: float = DEFAULT_REVIEW_BELOW
    review_by: ReviewBy = REVIEW_BY[0]

    @property
    def depth(self) -> int:
        """The level of the deepest leaf."""
        return max(len(leaf.path) for leaf in self.leaves)

    @cached_property
    def version(self) -> TaxonomyId:
        """A hash of the content; the order of the leaves and the file's format do not change it.

        Nor does `review_by`: a checkpoint has learned the same either way.
        """
        leaves = sorted([list(x.path), x.description, sorted(x.synonyms), x.team, x.workflow] for x in self.leaves)
        notes = sorted([list(p), n.description, sorted(n.synonyms)] for p, n in self.notes.items())
        text = json.dumps([leaves, notes, self.review_below], ensure_ascii=False, separators=(",", ":"))
        return TaxonomyId("tx_" + hashlib.sha256(text.encode()).hexdigest()[:16])

    @cached_property
    def _by_path(self) -> dict[LabelPath, Leaf]:
        return {leaf.path: leaf for leaf in self.leaves}

    @cached_property
    def _children(self) -> dict[LabelPath, tuple[str, ...]]:
        children: dict[LabelPath, set[str]] = defaultdict(set)
        for leaf in self.leaves:
            for depth, label in enumerate(leaf.path):
                children[leaf.path[:depth]].add(label)
        return {path: tuple(sorted(labels)) for path, labels in children.items()}

    def leaf(self, path: LabelPath) -> Leaf:
        """The leaf at a whole path. KeyError where there is none."""
        return self._by_path[path]

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def children(self, path: LabelPath = ()) -> tuple[str, ...]:
        """The labels right below a path, sorted; none below a leaf."""
        return self._children.get(path, ())

    def fault_of(self, path: LabelPath) -> str | None:
        """Why a path is no leaf, in a line; None where it is one."""
        if path in self:
            return None
        name = " > ".join(path) or "a path without labels"
        if below := self.children(path) if path else ():
            more = f" or {len(below) - _NAMED} more" * (len(below) > _NAMED)
            return f"{name} ends above a leaf; go on with {', '.join(map(repr, below[:_NAMED]))}{more}"
        return f"{name} is not a leaf of the taxonomy"


def taxonomy_of(
    leaves: Iterable[Leaf],
    notes: Mapping[LabelPath, Note] | None = None,
    review_below: float = DEFAULT_REVIEW_BELOW,
    review_by: ReviewBy = REVIEW_BY[0],
) -> Taxonomy:
    """A taxonomy from valid leaves, put in path order, so that equal content is an equal value."""
    ordered = tuple(sorted(leaves, key=lambda leaf: leaf.path))
    return Taxonomy(ordered, dict(sorted((notes or {}).items())), review_below, review_by)
