"""YAML and JSON trees: bounded in depth and size, each fault true, and in its line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from taxonomy.errors import TaxonomyInvalid
from taxonomy.formats.registry import load_taxonomy, read_taxonomy
from taxonomy.tree import Leaf, Note, taxonomy_of


def faults_of(tmp_path: Path, text: str | bytes, ending: str = ".yaml") -> list[str]:
    file = tmp_path / f"t{ending}"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(TaxonomyInvalid) as caught:
        load_taxonomy(file)
    return [str(fault).replace(str(file), "FILE") for fault in caught.value.faults]


def test_leaves_stand_at_four_levels_in_one_tree(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "nodes:\n- name: A\n- name: B\n  children:\n  - name: C\n  - name: D\n    description: an area\n    children:\n"
        "    - name: E\n    - name: F\n      children: [{name: G}]\n"
    )
    paths = [("A",), ("B", "C"), ("B", "D", "E"), ("B", "D", "F", "G")]
    assert load_taxonomy(file) == taxonomy_of(map(Leaf, paths), {("B", "D"): Note("an area")})


def nested(levels: int) -> dict[str, object]:
    node: dict[str, object] = {"name": f"N{levels}"}
    for level in range(levels - 1, 0, -1):
        node = {"name": f"N{level}", "children": [node]}
    return {"nodes": [node]}


@pytest.mark.parametrize("levels", [5, 6, 9])
@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_a_fifth_level_is_one_fault(tmp_path: Path, levels: int, ending: str) -> None:
    (found,) = faults_of(tmp_path, json.dumps(nested(levels), indent=1), ending)
    assert "'N1 > N2 > N3 > N4' goes on below L4, the last level; give each path at most 4 labels" in found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nodes: &n\n- name: A\n  children: *n\n", "FILE:3: an alias that leads into itself"),
        ("nodes:\n- &a {name: A, children: [*a]}\n", "FILE:2: an alias that leads into itself"),
        ("nodes: *n\n", "FILE:1: the alias *n has no anchor"),
        ("nodes: [{name: A}]\n---\nnodes: [{name: B}]\n", "FILE:2: a second document begins"),
        (
            "nodes: !!python/object:os.system\n- name: A\n",
            "FILE:1: the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("nodes:\n- name: !!binary QQ==\n", "FILE:2: the tag 'tag:yaml.org,2002:binary'"),
        ('nodes:\n- name: "\\ud800"\n', "FILE:2: not YAML"),
        ("nodes:\n- name: A\n    children: []\n", "FILE:3: not YAML"),
        ("nodes:\n- name: Late\n    - Parcel\n", "FILE:2: name 'Late - Parcel' goes on over 2 lines"),
        ("nodes:\n" + "  " * 40 + "[" * 10_000, "FILE:2: nested over 64 levels deep"),
        ("nodes: [{name: A}]\nreview_below: .nan\n", "FILE:2: review_below is not a number"),
        ("nodes: [{name: A}]\nreview_below: [1]\n", "FILE:2: review_below is not a number"),
        ("nodes: [{name: A}]\nreview_below: nan\n", "FILE: review_below is nan"),
        ("nodes: [{name: A}]\nreview_by: levels\n", "FILE: review_by is 'levels'; give team or leaf"),
        ("nodes: [{name: A}]\nreview_by: [leaf]\n", "FILE:2: review_by is not text"),
        ("nodes: [{name: A, <<: {team: x}}]\n", "FILE:1: unknown key '<<'"),
    ],
)
def test_the_one_fault_of_a_yaml_tree_is_the_true_one(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"nodes": [{"name": "\\ud800"}]}', "FILE:1: L1 '\\ud800' holds a control character"),
        ('{"nodes": [{"name": "A"}],\n "review_below": NaN}', "FILE: not JSON (it has no NaN)"),
        ('{"nodes": [{"name": "A"}],\n\t"review_below": "x"}', "FILE:2: review_below is not a number"),
        ('{"nodes": [\n{"name": "A",}]}', "FILE:2: not JSON"),
        ('{"nodes": [{"name": "A"}]}\n{"nodes": []}', "FILE:2: not JSON (Extra data)"),
        ("[" * 100_000, "FILE: nested too deeply"),
        ("[" * 100 + "]" * 100, "FILE:1: nested over 64 levels deep"),
        ('{"nodes": [{"name": "A"}], "review_below": ' + "9" * 10_000 + "}", "FILE: review_below is inf"),
    ],
)
def test_the_one_fault_of_a_json_tree_is_the_true_one(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, text, ".json")
    assert found.startswith(fault)


def bomb(levels: int) -> str:
    """Each level holds the one before it ten times."""
    lists = ["&a0 [{name: x}]"]
    lists += [
        f"&a{level} [{', '.join(f'{{name: k{n}, children: *a{level - 1}}}' for n in range(10))}]"
        for level in range(1, levels)
    ]
    return "nodes:\n" + "".join(f"- name: r{number}\n  children: {text}\n" for number, text in enumerate(lists))


@pytest.mark.parametrize("levels", [7, 30])
def test_aliases_of_aliases_are_refused_at_once(tmp_path: Path, levels: int) -> None:
    started = time.process_time()
    (found,) = faults_of(tmp_path, bomb(levels))
    assert "over 50,000 labels" in found
    assert time.process_time() - started < 2


def test_anchors_that_a_person_writes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("nodes:\n- name: A\n  children: &c [{name: Late}, {name: Lost}]\n- name: B\n  children: *c\n")
    assert [leaf.path for leaf in load_taxonomy(file).leaves] == [(a, b) for a in "AB" for b in ("Late", "Lost")]


def test_more_labels_than_a_taxonomy_has_are_refused(tmp_path: Path) -> None:
    (found,) = faults_of(tmp_path, "nodes:\n" + "".join(f"- name: A{number}\n" for number in range(50_001)))
    assert "over 50,000 labels" in found
    (found,) = faults_of(tmp_path, b"#" * (33 * 1024 * 1024))
    assert found.startswith("FILE: the file has 34,603,008 bytes")


def test_nodes_without_names_are_no_repetition_of_each_other(tmp_path: Path) -> None:
    found = faults_of(tmp_path, "nodes:\n- team: a\n- team: b\n  children: [{name: C}]\n")
    assert [fault.split(";")[0] for fault in found] == [
        "FILE:2: the node has no name",
        "FILE:3: the node has no name",
    ]


def test_a_tree_in_another_unicode_encoding_says_so(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_bytes('{"nodes": [{"name": "Übel"}]}'.encode("utf-16"))
    found = read_taxonomy(file)
    assert found.taxonomy.leaves == (Leaf(("Übel",)),)
    assert found.read == ("encoded in UTF-16",)
