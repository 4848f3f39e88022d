"""Taxonomy files: round trips are exact, faults are all named, and where."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings

from taxonomy.errors import CallWrong, TaxonomyInvalid
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.tree import Leaf, Note, Taxonomy, taxonomy_of
from tests.support.strategies import taxonomies

ENDINGS = [".yaml", ".json", ".csv", ".tsv", ".xlsx"]
TREE = """\
nodes:
  - name: Delivery
    team: logistics
    workflow: Parcel enquiry
    children:
      - name: Late Parcel
        description: it came after the promised day
        synonyms: [delay, "zu spät"]
      - name: Broken Parcel
        team: customer service
"""


def faults_of(tmp_path: Path, text: str, ending: str = ".yaml") -> list[str]:
    file = tmp_path / f"t{ending}"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TaxonomyInvalid) as caught:
        load_taxonomy(file)
    return [str(fault).replace(str(file), "FILE") for fault in caught.value.faults]


@pytest.mark.parametrize("ending", ENDINGS)
@given(taxonomy=taxonomies())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_is_read_back_equal(tmp_path: Path, ending: str, taxonomy: Taxonomy) -> None:
    file = tmp_path / f"t{ending}"
    save_taxonomy(taxonomy, file)
    assert load_taxonomy(file) == taxonomy
    assert load_taxonomy(file).version == taxonomy.version


def test_a_chain_through_all_formats_ends_in_the_same_bytes(tmp_path: Path) -> None:
    first = tmp_path / "0.yaml"
    first.write_text(TREE, encoding="utf-8")
    save_taxonomy(load_taxonomy(first), first)
    for index, ending in enumerate([*ENDINGS, ".yaml"]):
        save_taxonomy(
            load_taxonomy(tmp_path / f"{index}{'.yaml' if not index else ENDINGS[index - 1]}"),
            tmp_path / f"{index + 1}{ending}",
        )
    assert (tmp_path / f"{len(ENDINGS) + 1}.yaml").read_bytes() == first.read_bytes()


def test_team_and_workflow_are_inherited_and_overridden(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(TREE, encoding="utf-8")
    taxonomy = load_taxonomy(file)
    assert taxonomy.leaf(("Delivery", "Late Parcel")).team == "logistics"
    assert taxonomy.leaf(("Delivery", "Late Parcel")).synonyms == ("delay", "zu spät")
    assert taxonomy.leaf(("Delivery", "Broken Parcel")).team == "customer service"
    assert taxonomy.leaf(("Delivery", "Broken Parcel")).workflow == "Parcel enquiry"


@given(taxonomy=taxonomies())
@settings(max_examples=50, deadline=None)
def test_the_version_does_not_depend_on_order(taxonomy: Taxonomy) -> None:
    shuffled = random.Random(0).sample(taxonomy.leaves, len(taxonomy.leaves))
    assert taxonomy_of(shuffled, taxonomy.notes, taxonomy.review_below).version == taxonomy.version


def test_by_what_is_reviewed_is_kept_and_is_no_part_of_the_version() -> None:
    leaves = [Leaf(("A", "B"), team="one")]
    by_leaf = taxonomy_of(leaves, review_by="leaf")
    assert by_leaf != taxonomy_of(leaves)
    assert by_leaf.version == taxonomy_of(leaves).version, "a checkpoint has learned the one as it has the other"


def test_the_version_changes_with_any_content() -> None:
    leaf = Leaf(("A", "B"), "scope", ("s",), "team", "flow")
    base = taxonomy_of([leaf])
    others = [
        taxonomy_of([Leaf(("A", "C"), "scope", ("s",), "team", "flow")]),
        taxonomy_of([Leaf(("A", "B"), "scope.", ("s",), "team", "flow")]),
        taxonomy_of([Leaf(("A", "B"), "scope", (), "team", "flow")]),
        taxonomy_of([Leaf(("A", "B"), "scope", ("s",), "teams", "flow")]),
        taxonomy_of([Leaf(("A", "B"), "scope", ("s",), "team", "")]),
        taxonomy_of([leaf], {("A",): Note("an area")}),
        taxonomy_of([leaf], review_below=0.6),
    ]
    assert len({base.version, *(other.version for other in others)}) == 8


@pytest.mark.parametrize("ending", ENDINGS)
def test_notes_on_inner_nodes_survive(tmp_path: Path, ending: str) -> None:
    taxonomy = taxonomy_of([Leaf(("A", "B")), Leaf(("A", "C"))], {("A",): Note("an area", ("zone", "field"))})
    save_taxonomy(taxonomy, tmp_path / f"t{ending}")
    assert load_taxonomy(tmp_path / f"t{ending}") == taxonomy


def test_all_faults_of_a_tree_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        "nodes:\n"
        "  - name: Delivery\n"
        "    colour: red\n"
        "    children:\n"
        "      - name: Late\n"
        "      - name: late\n"
        "      - name: 12\n"
        "      - name: Late\n"
        "      - description: nameless\n"
        "  - name: Flat\n"
        "    children: []\n"
        "  - name: ' Spaced'\n"
        "    children: [{name: A, children: [{name: B}]}]\n",
    )
    expected = {
        "FILE:3: unknown key 'colour'",
        "FILE:6: 'late' differs from its sibling 'Late' (FILE:5) only in case",
        "FILE:7: name is not text but '12'",
        "FILE:8: 'Delivery > Late' stands already at FILE:5",
        "FILE:9: the node has no name",
        "FILE:11: there is no list of nodes",
        "FILE:12: L1 ' Spaced' begins or ends with a space",
    }
    for text in expected:
        assert any(fault.startswith(text) for fault in found), (text, found)
    assert all("; " in fault for fault in found), "each says what to do"


def test_faults_of_json_name_the_lines_of_the_file_itself(tmp_path: Path) -> None:
    text = '{"nodes": [\n\n  {"name": "A \\ud83d\\ude00"},\n  {"name": 5}\n]}'
    found = faults_of(tmp_path, text, ".json")
    assert found == ["FILE:4: name is not text but '5'; put it in quotes"]


def test_a_repeated_json_key_is_refused(tmp_path: Path) -> None:
    (found,) = faults_of(tmp_path, '{"nodes": [{"name": "A", "name": "B"}]}', ".json")
    assert "the key 'name' stands twice" in found


def test_faults_of_a_table_name_line_or_cell(tmp_path: Path) -> None:
    found = faults_of(tmp_path, "L1,L2,owner\nA,B,x\n", ".csv")
    assert found[0].startswith("FILE:1: unknown column 'owner'")
    found = faults_of(tmp_path, "L1,L2,owner\nA,B,x\nA,B,y\n", ".csv")
    assert [fault.split(" ")[0] for fault in found] == ["FILE:1:", "FILE:3:"], "a bad header does not hide bad rows"
    found = faults_of(tmp_path, "L2,L3\nA,B\n", ".csv")
    assert [fault.split(";")[0] for fault in found] == ["FILE:1: the columns of the levels are incomplete"]
    found = faults_of(tmp_path, "L1,L2\n,B\nA,B\nA,\nA,B\n", ".csv")
    assert any(fault.startswith("FILE:2: L1 is empty") for fault in found), found
    assert any(fault.startswith("FILE:5: 'A > B' stands already at FILE:3") for fault in found)


def test_a_whole_number_in_a_workbook_is_the_text_that_is_shown_and_no_other_number_is_a_label(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["L1", "team"], ["A", "x"], [360, "x"]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "t.xlsx")
    assert ("360",) in load_taxonomy(tmp_path / "t.xlsx")
    book.worksheets[0].append([0.125, "x"])
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(TaxonomyInvalid, match="Sheet!A4"):
        load_taxonomy(tmp_path / "t.xlsx")


@pytest.mark.parametrize("text", ["", "[]", "nodes: {", "\ufeff\x00", "nodes: 5", "a: &a [*a]"])
def test_what_is_no_tree_is_a_fault_and_no_traceback(tmp_path: Path, text: str) -> None:
    assert faults_of(tmp_path, text)


def test_a_file_that_is_not_there_or_of_no_format_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(CallWrong, match="there is no taxonomy file"):
        load_taxonomy(tmp_path / "t.yaml")
    with pytest.raises(CallWrong, match=r"ends in one of .*, not '\.txt'"):
        load_taxonomy(tmp_path / "t.txt")


@pytest.mark.parametrize("ending", ENDINGS)
def test_twenty_thousand_leaves_are_no_burden(tmp_path: Path, ending: str) -> None:
    leaves = [Leaf((f"A{i // 2000}", f"B{i // 100}", f"C{i // 10}", f"D {i}"), f"scope {i}") for i in range(20_000)]
    save_taxonomy(taxonomy_of(leaves), tmp_path / f"t{ending}")
    started = time.process_time()
    assert len(load_taxonomy(tmp_path / f"t{ending}").leaves) == 20_000
    assert time.process_time() - started < 60, "loads in seconds; the bound only catches what is not linear"


def test_json_is_written_for_people_too(tmp_path: Path) -> None:
    save_taxonomy(taxonomy_of([Leaf(("Ärger",))]), tmp_path / "t.json")
    text = (tmp_path / "t.json").read_text(encoding="utf-8")
    assert "Ärger" in text
    assert json.loads(text)["nodes"] == [{"name": "Ärger"}]
