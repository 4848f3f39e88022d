"""YAML and JSON taxonomy files: the tree, with team and workflow inherited down the path.

review_below: 0.5          # optional
review_by: team            # optional: team or leaf
nodes:
  - name: Delivery
    team: logistics        # holds for all below, unless a node says otherwise
    children:
      - name: Late Parcel
        description: the parcel came after the promised day
        synonyms: [delay]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats import json_nodes, yaml_nodes
from taxonomy.formats.loaded import Loaded
from taxonomy.formats.nodes import Mapping, Node, Scalar, Sequence
from taxonomy.formats.text import MAX_NODES, read_text
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.tree import DEFAULT_REVIEW_BELOW, REVIEW_BY
from taxonomy.validate import Row, taxonomy_from_rows

_TEXT_KEYS: Final = ("name", "description", "team", "workflow")
_KEYS: Final = {*_TEXT_KEYS, "synonyms", "children"}


class Inherited(NamedTuple):
    """What a node hands down to those below it."""

    team: str = ""
    workflow: str = ""


class Review(NamedTuple):
    """What a file says of it, beside its nodes."""

    review_below: float = DEFAULT_REVIEW_BELOW
    review_by: str = REVIEW_BY[0]


def read_yaml(file: Path) -> Loaded:
    """Raises TaxonomyInvalid with every fault and its line."""
    return _taxonomy(file, yaml_nodes.read_nodes)


def read_json(file: Path) -> Loaded:
    """Raises TaxonomyInvalid with every fault and its line."""
    return _taxonomy(file, json_nodes.read_nodes)


def _taxonomy(file: Path, read_nodes: Callable[[str, str], Node | None]) -> Loaded:
    text, encoding = read_text(file)
    reader = _TreeReader(str(file))
    review_below, review_by = reader.document(read_nodes(text, str(file)))
    taxonomy = taxonomy_from_rows(reader.rows, reader.faults, str(file), review_below, review_by)
    return Loaded(taxonomy, (f"encoded in {encoding}",) if encoding else ())


@dataclass
class _TreeReader:
    """Walks the nodes of the text, so that each row and fault knows its line."""

    file: str
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _too_deep: set[int] = field(default_factory=set)

    def document(self, root: Node | None) -> Review:
        if not isinstance(root, Mapping):
            self.faults.append(Fault(self.file, "the file holds no mapping", "begin it with 'nodes:'"))
            return Review()
        entries = self._entries(root, {"nodes", *Review._fields})
        self._children(entries.get("nodes"), (), Inherited(), root)
        by = self._text(entries["review_by"], "review_by") if "review_by" in entries else None
        return Review(self._number(entries.get("review_below")), Review().review_by if by is None else by)

    def _node(self, node: Node, above: LabelPath, inherited: Inherited) -> None:
        if len(self.rows) >= MAX_NODES:
            what = f"over {MAX_NODES:,} labels"
            raise TaxonomyInvalid([Fault(self._where(node), what, "check that it is the right file, and its aliases")])
        if not isinstance(node, Mapping):
            self._fault(node, "a node is a mapping with a name", "write '- name: ...'")
            return
        entries = self._entries(node, _KEYS)
        texts = {key: self._text(entries[key], key) for key in _TEXT_KEYS if key in entries}
        if "name" not in entries:
            self._fault(node, "the node has no name", "add 'name: ...'")
        name = texts.get("name")
        handed = Inherited(texts.get("team") or "", texts.get("workflow") or "")
        handed = Inherited(
            *(own if key in entries else up for key, own, up in zip(handed._fields, handed, inherited, strict=True))
        )
        # A name of its own for each node without one, so that two of them are no repetition.
        path = (*above, name if name is not None else f"? of line {node.line}")
        synonyms = self._synonyms(entries.get("synonyms"))
        if name is not None:
            self.rows.append(Row(path, self._where(node), texts.get("description") or "", synonyms, *handed))
        if "children" in entries:
            self._children(entries["children"], path, handed, node)

    def _children(self, node: Node | None, path: LabelPath, inherited: Inherited, owner: Node) -> None:
        if not isinstance(node, Sequence) or not node.items:
            self._fault(node or owner, "there is no list of nodes", "list at least one '- name: ...'")
        elif len(path) == len(LEVELS):
            if id(node) not in self._too_deep:
                what = f"{' > '.join(path)!r} goes on below {LEVELS[-1]}, the last level"
                self._fault(node.items[0], what, f"give each path at most {len(LEVELS)} labels")
            self._too_deep.add(id(node))
        else:
            for child in node.items:
                self._node(child, path, inherited)

    def _entries(self, node: Mapping, known: set[str]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in node.pairs:
            name = key.value if isinstance(key, Scalar) else "?"
            if name not in known:
                self._fault(key, f"unknown key {name!r}", f"use one of {', '.join(sorted(known))}")
            elif name in entries:
                self._fault(key, f"the key {name!r} stands twice", "keep one")
            else:
                entries[name] = value
        return entries

    def _text(self, node: Node, key: str) -> str | None:
        if isinstance(node, Scalar) and node.lines > 1 and key != "description":
            # YAML folds lines into one: what is indented by mistake would become a part of the name.
            self._fault(node, f"{key} {node.value!r} goes on over {node.lines} lines", "write it on one")
            return None
        if isinstance(node, Scalar) and node.is_text:
            return node.value
        given = node.value if isinstance(node, Scalar) else "a list or mapping"
        self._fault(node, f"{key} is not text but {given!r}", "put it in quotes")
        return None

    def _synonyms(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self._fault(node, "synonyms is not a list", "write [one, two]")
            return ()
        return tuple(text for item in node.items if (text := self._text(item, "synonym")) is not None)

    def _number(self, node: Node | None) -> float:
        if node is None:
            return DEFAULT_REVIEW_BELOW
        try:
            if isinstance(node, Scalar):
                return float(node.value)
        except ValueError:
            pass
        self._fault(node, "review_below is not a number", "give a probability from 0 to 1")
        return DEFAULT_REVIEW_BELOW

    def _where(self, node: Node) -> str:
        return f"{self.file}:{node.line}"

    def _fault(self, node: Node, what: str, remedy: str) -> None:
        self.faults.append(Fault(self._where(node), what, remedy))
