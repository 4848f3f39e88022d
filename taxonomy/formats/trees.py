"""YAML and JSON taxonomy files: the tree, with team and workflow inherited down the path.

review_below: 0.5          # optional
nodes:
  - name: Delivery
    team: logistics        # holds for all below, unless a node says otherwise
    children:
      - name: Late Parcel
        description: the parcel came after the promised day
        synonyms: [delay]
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.files import whole
from taxonomy.labels import LabelPath
from taxonomy.tree import DEFAULT_REVIEW_BELOW, Leaf, Taxonomy
from taxonomy.validate import Row, taxonomy_from_rows

_TEXT_KEYS = ("name", "description", "team", "workflow")
_KEYS = {*_TEXT_KEYS, "synonyms", "children"}
_STRING = "tag:yaml.org,2002:str"
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}")


class Inherited(NamedTuple):
    """What a node hands down to those below it."""

    team: str = ""
    workflow: str = ""


def read_yaml(file: Path) -> Taxonomy:
    """Raises TaxonomyInvalid with every fault and its line."""
    return _taxonomy(file, _compose(file, _text_of(file)))


def read_json(file: Path) -> Taxonomy:
    """Raises TaxonomyInvalid with every fault and its line."""
    text = _text_of(file)
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise TaxonomyInvalid([Fault(str(file), f"not JSON ({error})", "mend the syntax")]) from error
    # The composer knows lines but reads some JSON escapes otherwise: values from one text, lines from the other.
    root = _compose(file, json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f"))
    with suppress(TaxonomyInvalid):
        _take_marks(root, _compose(file, _ESCAPE.sub("?", text)))
    return _taxonomy(file, root)


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaxonomyInvalid([Fault(str(file), f"not UTF-8 ({error.reason})", "save it as UTF-8")]) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ValueError(f"the key {key!r} stands {count} times in one object")
    return dict(pairs)


def _compose(file: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise TaxonomyInvalid([Fault(str(file), f"cannot be read ({what})", "mend the syntax")]) from error


def _take_marks(node: yaml.Node | None, marked: yaml.Node | None) -> None:
    if node is None or marked is None or type(node) is not type(marked):
        return
    node.start_mark = marked.start_mark
    if isinstance(node, yaml.SequenceNode):
        for one, other in zip(node.value, marked.value, strict=False):
            _take_marks(one, other)
    elif isinstance(node, yaml.MappingNode):
        for (key, value), (other_key, other_value) in zip(node.value, marked.value, strict=False):
            _take_marks(key, other_key)
            _take_marks(value, other_value)


def _taxonomy(file: Path, root: yaml.Node | None) -> Taxonomy:
    reader = _TreeReader(str(file))
    review_below = reader.document(root)
    return taxonomy_from_rows(reader.rows, reader.faults, str(file), review_below)


@dataclass
class _TreeReader:
    """Walks the composed nodes, so that each row and fault knows its line."""

    file: str
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def document(self, root: yaml.Node | None) -> float:
        if not isinstance(root, yaml.MappingNode):
            self.faults.append(Fault(self.file, "the file holds no mapping", "begin it with 'nodes:'"))
            return DEFAULT_REVIEW_BELOW
        entries = self._entries(root, {"nodes", "review_below"})
        self._children(entries.get("nodes"), (), Inherited(), root)
        return self._number(entries.get("review_below"))

    def _node(self, node: yaml.Node, above: LabelPath, inherited: Inherited) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, "a node is a mapping with a name", "write '- name: ...'")
            return
        entries = self._entries(node, _KEYS)
        texts = {key: self._text(entries[key], key) for key in _TEXT_KEYS if key in entries}
        if "name" not in texts:
            self._fault(node, "the node has no name", "add 'name: ...'")
        handed = Inherited(texts.get("team", inherited.team), texts.get("workflow", inherited.workflow))
        path = (*above, texts.get("name", "?"))
        synonyms = self._synonyms(entries.get("synonyms"))
        self.rows.append(Row(path, self._where(node), texts.get("description", ""), synonyms, *handed))
        if "children" in entries:
            self._children(entries["children"], path, handed, node)

    def _children(self, node: yaml.Node | None, path: LabelPath, inherited: Inherited, owner: yaml.Node) -> None:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._fault(node or owner, "there is no list of nodes", "list at least one '- name: ...'")
            return
        for child in node.value:
            self._node(child, path, inherited)

    def _entries(self, node: yaml.MappingNode, known: set[str]) -> dict[str, yaml.Node]:
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name not in known:
                self._fault(key, f"unknown key {name!r}", f"use one of {', '.join(sorted(known))}")
            elif name in entries:
                self._fault(key, f"the key {name!r} stands twice", "keep one")
            else:
                entries[name] = value
        return entries

    def _text(self, node: yaml.Node, key: str) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING:
            return str(node.value)
        given = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        self._fault(node, f"{key} is not text but {given!r}", "put it in quotes")
        return "?"

    def _synonyms(self, node: yaml.Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self._fault(node, "synonyms is not a list", "write [one, two]")
            return ()
        return tuple(self._text(item, "synonym") for item in node.value)

    def _number(self, node: yaml.Node | None) -> float:
        if node is None:
            return DEFAULT_REVIEW_BELOW
        try:
            return float(node.value)
        except (TypeError, ValueError):
            self._fault(node, "review_below is not a number", "give a probability from 0 to 1")
            return DEFAULT_REVIEW_BELOW

    def _where(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"

    def _fault(self, node: yaml.Node, what: str, remedy: str) -> None:
        self.faults.append(Fault(self._where(node), what, remedy))


def write_yaml(taxonomy: Taxonomy, file: Path) -> None:
    document = _document(taxonomy)
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=10_000)
    with whole(file) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_json(taxonomy: Taxonomy, file: Path) -> None:
    text = json.dumps(_document(taxonomy), ensure_ascii=False, indent=1)
    with whole(file) as part:
        part.write_text(text + "\n", encoding="utf-8", newline="")


def _document(taxonomy: Taxonomy) -> dict[str, Any]:
    groups = _grouped(list(taxonomy.leaves), 0)
    nodes = [_subtree(taxonomy, (label,), Inherited(), group) for label, group in groups.items()]
    return {"review_below": taxonomy.review_below, "nodes": nodes}


def _subtree(taxonomy: Taxonomy, path: LabelPath, inherited: Inherited, below: list[Leaf]) -> dict[str, Any]:
    """The canonical notation: each node states the team and workflow that most leaves below it have."""
    usual = Inherited(_usual(x.team for x in below), _usual(x.workflow for x in below))
    node: dict[str, Any] = {"name": path[-1]}
    said = below[0] if len(path) == taxonomy.depth else taxonomy.notes.get(path)
    if said and said.description:
        node["description"] = said.description
    if said and said.synonyms:
        node["synonyms"] = list(said.synonyms)
    node |= {key: value for key, value in usual._asdict().items() if value != getattr(inherited, key)}
    if groups := _grouped(below, len(path)):
        node["children"] = [_subtree(taxonomy, (*path, label), usual, group) for label, group in groups.items()]
    return node


def _grouped(leaves: list[Leaf], depth: int) -> dict[str, list[Leaf]]:
    groups: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        if depth < len(leaf.path):
            groups.setdefault(leaf.path[depth], []).append(leaf)
    return groups


def _usual(values: Iterable[str]) -> str:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
