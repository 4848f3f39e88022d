"""Taxonomies written as YAML and JSON trees, in one notation: equal content gives equal bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from taxonomy.files import whole
from taxonomy.formats.trees import Inherited
from taxonomy.labels import LabelPath
from taxonomy.tree import REVIEW_BY, Leaf, Taxonomy


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
    by = {} if taxonomy.review_by == REVIEW_BY[0] else {"review_by": taxonomy.review_by}
    return {"review_below": taxonomy.review_below, **by, "nodes": nodes}


def _subtree(taxonomy: Taxonomy, path: LabelPath, inherited: Inherited, below: list[Leaf]) -> dict[str, Any]:
    """The canonical notation: each node states the team and workflow that most leaves below it have."""
    usual = Inherited(_usual(x.team for x in below), _usual(x.workflow for x in below))
    node: dict[str, Any] = {"name": path[-1]}
    said = taxonomy.leaf(path) if path in taxonomy else taxonomy.notes.get(path)
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
