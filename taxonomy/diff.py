"""What changed from one taxonomy to the next, and labelled data carried over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from taxonomy.comments import LabelledComment
from taxonomy.labels import LabelPath
from taxonomy.tree import Leaf, Taxonomy


@dataclass(frozen=True)
class Diff:
    """Leaves by what became of them.

    moved: an old path's new one. merged: a leaf that went, and the leaf that holds what it held.
    split: a leaf that has leaves below it now, and those. changed: old and new of one path.
    """

    added: tuple[LabelPath, ...]
    removed: tuple[LabelPath, ...]
    moved: dict[LabelPath, LabelPath]
    merged: dict[LabelPath, LabelPath]
    split: dict[LabelPath, tuple[LabelPath, ...]]
    changed: tuple[tuple[Leaf, Leaf], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.moved or self.merged or self.split or self.changed)

    def as_json(self) -> dict[str, Any]:
        return {
            "added": [list(path) for path in self.added],
            "removed": [list(path) for path in self.removed],
            "moved": [{"from": list(old), "to": list(new)} for old, new in self.moved.items()],
            "merged": [{"from": list(old), "to": list(new)} for old, new in self.merged.items()],
            "split": [{"from": list(old), "to": [list(path) for path in below]} for old, below in self.split.items()],
            "changed": [{"path": list(new.path), "fields": changed_fields(old, new)} for old, new in self.changed],
        }


def diff(old: Taxonomy, new: Taxonomy) -> Diff:
    """Compare two taxonomies.

    A leaf has moved where exactly one leaf that went and one that came share a scope, or the last label, or where the
    new one names the old one's last label among its synonyms; levels may differ. The same scope comes before the tree
    (merged into what was above it and is a leaf now, split), and that before the names. What is left is merged into the
    one leaf that names its last label among its synonyms. What is not that plain is removed and added.
    """
    went = [leaf for leaf in old.leaves if leaf.path not in new]
    came = [leaf for leaf in new.leaves if leaf.path not in old]
    scopes, *names = _SIGNS
    moved = _paired(went, came, *scopes)
    merged = {leaf.path: above for leaf in went if leaf.path not in moved for above in _above(leaf.path, new)}
    split = {leaf.path: _below(leaf.path, new) for leaf in went if leaf.path not in moved and new.children(leaf.path)}
    placed = {*merged.values(), *(path for below in split.values() for path in below)}
    for signs in names:
        gone = moved.keys() | merged.keys() | split.keys()
        there = {*moved.values(), *placed}
        moved |= _paired(
            [leaf for leaf in went if leaf.path not in gone], [leaf for leaf in came if leaf.path not in there], *signs
        )
    homeless = [leaf for leaf in went if leaf.path not in moved.keys() | merged.keys() | split.keys()]
    merged |= _absorbed(homeless, new)
    both = [(leaf, new.leaf(leaf.path)) for leaf in old.leaves if leaf.path in new]
    return Diff(
        added=tuple(leaf.path for leaf in came if leaf.path not in {*moved.values(), *placed}),
        removed=tuple(leaf.path for leaf in went if leaf.path not in moved.keys() | merged.keys() | split.keys()),
        moved=moved,
        merged=merged,
        split=split,
        changed=tuple((one, other) for one, other in both if one != other),
    )


def _above(path: LabelPath, taxonomy: Taxonomy) -> list[LabelPath]:
    """The leaf on the way to a path, if there is one."""
    return [path[:level] for level in range(1, len(path)) if path[:level] in taxonomy]


def _below(path: LabelPath, taxonomy: Taxonomy) -> tuple[LabelPath, ...]:
    return tuple(leaf.path for leaf in taxonomy.leaves if leaf.path[: len(path)] == path)


def changed_fields(old: Leaf, new: Leaf) -> list[str]:
    """The names of the fields that differ."""
    return [
        name for name in ("description", "synonyms", "team", "workflow") if getattr(old, name) != getattr(new, name)
    ]


Keys = Callable[[Leaf], Iterable[Hashable]]
_SIGNS: tuple[tuple[Keys, Keys], ...] = (
    (lambda leaf: [leaf.description] if leaf.description else [], lambda leaf: [leaf.description]),
    (lambda leaf: [leaf.path[-1]], lambda leaf: [leaf.path[-1]]),
    (lambda leaf: [leaf.path[-1]], lambda leaf: leaf.synonyms),
)


def _paired(went: list[Leaf], came: list[Leaf], key_of_old: Keys, key_of_new: Keys) -> dict[LabelPath, LabelPath]:
    old_keys = Counter(key for leaf in went for key in key_of_old(leaf))
    new_keys = Counter(key for leaf in came for key in key_of_new(leaf))
    home = {key: leaf.path for leaf in came for key in key_of_new(leaf)}
    pairs = {
        leaf.path: home[key] for leaf in went for key in key_of_old(leaf) if old_keys[key] == 1 and new_keys[key] == 1
    }
    taken = Counter(pairs.values())
    return {old: new for old, new in pairs.items() if taken[new] == 1}


def _absorbed(went: list[Leaf], new: Taxonomy) -> dict[LabelPath, LabelPath]:
    named = Counter(leaf.path[-1] for leaf in went)
    homes: dict[str, list[LabelPath]] = {}
    for leaf in new.leaves:
        for synonym in set(leaf.synonyms):
            homes.setdefault(synonym, []).append(leaf.path)
    only = {label: paths[0] for label, paths in homes.items() if len(paths) == 1 and named[label] == 1}
    return {leaf.path: only[leaf.path[-1]] for leaf in went if leaf.path[-1] in only}


def migrated(comment: LabelledComment, change: Diff, new: Taxonomy) -> tuple[LabelledComment, list[LabelPath]]:
    """The comment in the new taxonomy's paths, and those of its paths that have no place there (they stay).

    What was merged takes the leaf that holds it now. What was split has no one place, unless a single leaf is below it.
    Other right paths are carried over likewise.
    """
    spans, lost = [], []
    only = {path: below[0] for path, below in change.split.items() if len(below) == 1}
    homes = only | change.merged | change.moved
    for span in comment.segments:
        path, *others = (homes.get(each, each) for each in (span.path, *span.alternatives))
        lost += [each for each in (path, *others) if each not in new]
        spans.append(replace(span, path=path, alternatives=(*others,)))
    return replace(comment, segments=tuple(spans)), lost
