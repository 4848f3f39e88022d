"""Labels as annotators and spreadsheets name them -> paths: a whole path joined by ` > `, or a leaf's unique name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from taxonomy.labels import LEVELS, LabelPath
from taxonomy.tree import Taxonomy

_JOIN: Final = re.compile(r"\s+>\s+")
_SHOWN: Final = " > "


class LabelNames:
    """taxonomy: every path is one of its leaves, and a leaf's name alone will do; without one any path is taken."""

    def __init__(self, taxonomy: Taxonomy | None) -> None:
        self._taxonomy = taxonomy
        self._by_name: dict[str, list[LabelPath]] = defaultdict(list)
        self._by_path: dict[str, LabelPath] = {}
        for leaf in taxonomy.leaves if taxonomy else ():
            self._by_name[leaf.path[-1]].append(leaf.path)
            self._by_path[_SHOWN.join(leaf.path)] = leaf.path

    def named(self, label: str) -> LabelPath:
        """Raises ValueError."""
        label = label.strip()
        if whole := self._by_path.get(label):
            return whole
        parts = _JOIN.split(label)
        if len(parts) > 1:
            return self.path(parts)
        if self._taxonomy is None:
            what = f"{label!r} is no whole path (L1{_SHOWN}L2 ...)"
            raise ValueError(f"{what}; name the taxonomy with --taxonomy if it is a leaf's name")
        found = self._by_name.get(label, [])
        if len(found) != 1:
            known = f"the name of {len(found)} leaves, give the whole path" if found else "no leaf of the taxonomy"
            raise ValueError(f"{label!r} is {known}")
        return found[0]

    def path(self, labels: Sequence[str]) -> LabelPath:
        """Labels from L1 down, with nothing below the leaf. Raises ValueError."""
        given = [label.strip() for label in labels]
        while given and not given[-1]:
            given.pop()
        shown = _SHOWN.join(given)
        if not given or not all(given):
            raise ValueError(f"{shown!r} lacks {LEVELS[given.index('')] if given else LEVELS[0]}")
        if len(given) > len(LEVELS):
            raise ValueError(f"{shown!r} has {len(given)} levels, over {len(LEVELS)}")
        path = tuple(given)
        if self._taxonomy is not None and path not in self._taxonomy:
            raise ValueError(f"{shown!r} is no leaf of the taxonomy")
        return path
