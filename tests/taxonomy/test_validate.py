"""Rows of any format: which are leaves, and which contradict each other."""

from __future__ import annotations

import pytest

from taxonomy.errors import TaxonomyInvalid
from taxonomy.tree import Leaf, Note
from taxonomy.validate import Row, taxonomy_from_rows


def rows(*paths: str, team: str = "") -> list[Row]:
    return [Row(tuple(path.split(" > ")), f"row {number}", team=team) for number, path in enumerate(paths, 1)]


def faults_of(given: list[Row]) -> list[str]:
    with pytest.raises(TaxonomyInvalid) as caught:
        taxonomy_from_rows(given, [], "file")
    return [str(fault) for fault in caught.value.faults]


def test_paths_end_at_any_level_and_a_row_above_others_describes_them() -> None:
    given = [*rows("A", "B > C", "B > D > E > F", "B > D > G"), Row(("B", "D"), "row 5", "an area")]
    taxonomy = taxonomy_from_rows(given, [], "file")
    assert [leaf.path for leaf in taxonomy.leaves] == [row.path for row in given[:4]]
    assert taxonomy.notes == {("B", "D"): Note("an area")}
    assert taxonomy.leaf(("A",)) == Leaf(("A",))


def test_a_path_of_five_labels_is_one_fault() -> None:
    assert faults_of(rows("A > B > C > D > E", "A > B > C > D > F")[:1]) == [
        "row 1: 'A > B > C > D > E' has 5 labels; give each path at most 4"
    ]


def test_siblings_that_look_the_same_are_one_fault_at_the_second() -> None:
    found = faults_of(rows("Late > A", "Lаte > B", "Lаte > C", "Other > lаte"))
    (fault,) = found
    assert fault == (
        "row 2: 'Lаte' differs from its sibling 'Late' (row 1) only in letters that look the same"
        " (U+0430 CYRILLIC SMALL LETTER A); write both the same, or rename one"
    )


def test_cousins_may_have_one_name() -> None:
    assert len(taxonomy_from_rows(rows("A > Late", "B > late"), [], "file").leaves) == 2


def test_teams_and_workflows_that_look_the_same_are_a_fault() -> None:
    found = faults_of(
        [*rows("A", team="Repairs"), Row(("B",), "row 2", team="Repairs\u00a0team"), *rows("C", team="repairs")]
    )
    (fault,) = found
    assert fault == (
        "row 1: 'repairs' differs from the team 'Repairs' (row 1) only in case or Unicode form;"
        " write both the same, or rename one"
    )


def test_a_fault_of_a_label_is_named_once_however_many_rows_it_stands_in() -> None:
    assert faults_of(rows("A  > B".replace("  >", "\u200b >"), "A\u200b > C")) == [
        "row 1: L1 'A\\u200b' holds U+200B ZERO WIDTH SPACE, which is not drawn; remove it"
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (Row(("A", "\u00a0"), "row 1"), "L2 is empty; name it"),
        (Row(("A" * 201,), "row 1"), "L1 has 201 characters; use at most 200"),
        (Row(("A",), "row 1", description="x" * 10_001), "description has 10,001 characters; use at most 10,000"),
        (Row(("A",), "row 1", description="one\ntwo"), "description 'one\\ntwo' holds a control character; remove it"),
        (Row(("A",), "row 1", synonyms=("a|b",)), "synonym 'a|b' holds '|'; reword it"),
        (Row(("A",), "row 1", synonyms=("",)), "synonym holds nothing that can be seen; remove it"),
        (Row(("A",), "row 1", team=" x"), "team ' x' begins or ends with a space; trim it"),
    ],
)
def test_the_fault_of_a_text_is_named(row: Row, fault: str) -> None:
    assert faults_of([row]) == [f"row 1: {fault}"]


def test_a_description_may_hold_what_a_label_may_not() -> None:
    (leaf,) = taxonomy_from_rows([Row(("A",), "row 1", description="soft\u00adhyphen")], [], "file").leaves
    assert leaf.description == "soft\u00adhyphen"
