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
    """Leaves by what became of them. `moved` maps an old path to its new one; `changed` has old and new of one path."""

    added: tuple[LabelPath, ...]
    removed: tuple[LabelPath, ...]
    moved: dict[LabelPath, LabelPath]
    changed: tuple[tuple[Leaf, Leaf], ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.moved or self.changed)

    def as_json(self) -> dict[str, Any]:
        return {
            "added": [list(path) for path in self.added],
            "removed": [list(path) for path in self.removed],
            "moved": [{"from": list(old), "to": list(new)} for old, new in self.moved.items()],
            "changed": [{"path": list(new.path), "fields": changed_fields(old, new)} for old, new in self.changed],
        }


def diff(old: Taxonomy, new: Taxonomy) -> Diff:
    """Compare two taxonomies.

    A leaf has moved where exactly one leaf that went and one that came share a scope, or the last label, or where the
    new one names the old one's last label among its synonyms. What is not that plain is removed and added.
    """
    went = [leaf for leaf in old.leaves if leaf.path not in new]
    came = [leaf for leaf in new.leaves if leaf.path not in old]
    moved: dict[LabelPath, LabelPath] = {}
    for key_of_old, key_of_new in _SIGNS:
        moved |= _paired(
            [leaf for leaf in went if leaf.path not in moved],
            [leaf for leaf in came if leaf.path not in moved.values()],
            key_of_old,
            key_of_new,
        )
    both = [(leaf, new.leaf(leaf.path)) for leaf in old.leaves if leaf.path in new]
    return Diff(
        added=tuple(leaf.path for leaf in came if leaf.path not in moved.values()),
        removed=tuple(leaf.path for leaf in went if leaf.path not in moved),
        moved=moved,
        changed=tuple((one, other) for one, other in both if one != other),
    )


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


def migrated(comment: LabelledComment, change: Diff, new: Taxonomy) -> tuple[LabelledComment, list[LabelPath]]:
    """The comment in the new taxonomy's paths, and those of its paths that have no place there (they stay)."""
    spans, lost = [], []
    for span in comment.segments:
        path = change.moved.get(span.path, span.path)
        if path not in new:
            lost.append(path)
        spans.append(replace(span, path=path))
    return replace(comment, segments=tuple(spans)), lost
