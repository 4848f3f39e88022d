"""CSV and TSV taxonomies as people write them: read as a person sees them, with a word on it, or a fault."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonomy.errors import TaxonomyInvalid
from taxonomy.formats.loaded import Loaded
from taxonomy.formats.registry import load_taxonomy, read_taxonomy, save_taxonomy
from taxonomy.labels import LEVELS
from taxonomy.tree import Leaf, Note, Taxonomy, taxonomy_of
from tests.support.strategies import taxonomies

FOUR = taxonomy_of(
    [
        Leaf(("Heating", "Boiler", "Noise"), team="repairs"),
        Leaf(("Heating", "Boiler", "Leak"), team="repairs"),
        Leaf(("Heating", "Radiator"), team="repairs"),
        Leaf(("Invoice",), team="office"),
    ]
)


def loaded(tmp_path: Path, text: str | bytes, ending: str = ".csv") -> Loaded:
    file = tmp_path / f"t{ending}"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_taxonomy(file)


def faults_of(tmp_path: Path, text: str | bytes, ending: str = ".csv") -> list[str]:
    with pytest.raises(TaxonomyInvalid) as caught:
        loaded(tmp_path, text, ending)
    return [str(fault).replace(str(tmp_path / f"t{ending}"), "FILE") for fault in caught.value.faults]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_the_header_says_what_divides_the_cells(tmp_path: Path, delimiter: str, ending: str) -> None:
    text = "L1,L2,L3,team\nHeating,Boiler,Noise,repairs\nHeating,Boiler,Leak,repairs\n"
    text += "Heating,Radiator,,repairs\nInvoice,,,office\n"
    found = loaded(tmp_path, text.replace(",", delimiter), ending)
    assert found.taxonomy == FOUR
    usual = {".csv": ",", ".tsv": "\t"}[ending]
    assert [line.startswith("divided by") for line in found.read] == [True] * (delimiter != usual)


def test_a_line_that_announces_the_delimiter_is_believed(tmp_path: Path) -> None:
    found = loaded(tmp_path, "sep=;\r\nL1;team\r\nA, B;x\r\n")
    assert found.taxonomy.leaves == (Leaf(("A, B",), team="x"),)
    assert faults_of(tmp_path, "sep=;\nL1;team\nA;x;y\n") == [
        "FILE:3: a cell without a column name; name the column or empty the cell"
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    found = loaded(tmp_path, "L1\tteam\nÜbel\tx\n".encode(encoding), ".tsv")
    assert found.taxonomy.leaves == (Leaf(("Übel",), team="x"),)
    assert found.read == (() if encoding == "utf-8-sig" else (f"encoded in {encoding.upper()}",))


def test_another_encoding_is_named_with_the_line(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "L1\nA\nÜbel\n".encode("cp1252")) == [
        "FILE:3: not UTF-8 (byte 0xDC: invalid continuation byte); save it as UTF-8 (spreadsheets call it 'CSV UTF-8')"
    ]
    assert "UTF-16 without a byte-order mark" in faults_of(tmp_path, "L1\nA\n".encode("utf-16-le"))[0]


@pytest.mark.parametrize(
    "header", ["l1,l2,l3,TEAM", " L1 ,L 2,level 3,Team", "Level_1,LEVEL-2,L3,team", "L１,L2,L3,team"]
)
def test_columns_are_named_in_any_case_with_any_spaces(tmp_path: Path, header: str) -> None:
    rows = "\nHeating,Boiler,Noise,repairs\nHeating,Boiler,Leak,repairs\nHeating,Radiator,,repairs\nInvoice,,,office\n"
    assert loaded(tmp_path, header + rows).taxonomy == FOUR


def test_a_title_above_the_header_is_passed_over_and_data_above_it_is_a_fault(tmp_path: Path) -> None:
    table = "L1,L2,team\nA,B,x\n"
    found = loaded(tmp_path, f"Our taxonomy,,\n\n{table}")
    assert found.taxonomy == loaded(tmp_path, table).taxonomy
    assert found.read == ("1 title row above the header passed over",)
    assert faults_of(tmp_path, f"A,C,x\n{table}") == [
        "FILE:1: a row above the header that is no title; put the header first"
    ]


def test_parents_given_once_are_those_of_the_row_above(tmp_path: Path) -> None:
    text = "L1,L2,L3,team\nHeating,Boiler,Noise,repairs\n,,Leak,repairs\n,Radiator,,repairs\nInvoice,,,office\n"
    found = loaded(tmp_path, text)
    assert found.taxonomy == FOUR
    assert found.read == ("parents carried down in 2 rows",)


def test_parents_on_rows_of_their_own_describe_what_is_below_them(tmp_path: Path) -> None:
    text = (
        "L1,L2,L3,description,team\nHeating,,,all that warms,repairs\n,Boiler,,,\n,,Noise,,\n,,Leak,,\n,Radiator,,,\n"
    )
    found = loaded(tmp_path, text + "Invoice,,,,office\n")
    assert found.taxonomy == taxonomy_of(FOUR.leaves, {("Heating",): Note("all that warms")})
    assert "team or workflow taken from a row above in the tree for 4 rows" in found.read


def test_an_empty_parent_that_the_row_above_does_not_tell_is_a_fault(tmp_path: Path) -> None:
    what = "is empty, and the row above has none for it; name it"
    assert faults_of(tmp_path, "L1,L2\n,B\n") == [f"FILE:2: L1 {what}"]
    assert faults_of(tmp_path, "L1,L2,L3\nA,B,C\nD,,E\n") == [f"FILE:3: L2 {what}"], "B is no child of D"
    assert faults_of(tmp_path, "L1,L2,L3\nA,,\n,,E\n") == [f"FILE:3: L2 {what}"]


def test_a_row_below_a_faulty_one_has_no_fault_of_its_own(tmp_path: Path) -> None:
    found = faults_of(tmp_path, "L1,L2\nA,B\nC,D,x\n,E\n")
    assert found == ["FILE:3: a cell without a column name; name the column or empty the cell"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("L1,L2,L3,L4,L5\nA,B,C,D,E\nA,B,C,D,F\n", "FILE:1: unknown column 'L5'"),
        ("L1,team\nA;x\n", "FILE:2: the row is divided by a semicolon, and the header by a comma"),
        ("L1|team\nA|x\n", "FILE:1: the header 'L1|team' is divided by '|'"),
        ("A,x\nB,y\n", "FILE:1: no row names the columns of the levels"),
        ("L1,team\nA,x\nL1,team\nB,x\n", "FILE:3: the header stands here again"),
        ('L1,team\nA,x\n"B,x\nC,x\n', "FILE:3: not CSV (unexpected end of data); mend the quotes"),
        ('L1,team\n"A\nB",x\n', "FILE:2: L1 'A\\nB' holds a control character"),
        ("L1,team\nA,x\n,y\n", "FILE:3: the row has no label"),
        ("L1,team\n", "FILE: there is no leaf in it"),
        ("\n,,\n", "FILE: the table is empty"),
        ("#review_by,levels\nL1\nA\n", "FILE: review_by is 'levels'; give team or leaf"),
        ("#review_below,0.4\n#review_by\nL1\nA\n", "FILE: review_by is ''; give team or leaf"),
        ("#review_below,half\nL1\nA\n", "FILE:1: review_below is not a number"),
        ("PK\x03\x04", "FILE: not text but a zip archive"),
    ],
)
def test_the_one_fault_of_a_table_is_the_true_one(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = faults_of(tmp_path, text)
    assert found.startswith(fault)


def test_synonyms_are_divided_with_or_without_spaces(tmp_path: Path) -> None:
    (leaf,) = loaded(tmp_path, "L1,synonyms\nA,one|two | three\n").taxonomy.leaves
    assert leaf.synonyms == ("one", "two", "three")


def test_more_rows_than_a_taxonomy_has_are_refused(tmp_path: Path) -> None:
    (found,) = faults_of(tmp_path, "L1\n" + "".join(f"A{number}\n" for number in range(50_001)))
    assert found.startswith("FILE:50002: over 50,000 rows")
    (found,) = faults_of(tmp_path, "L1\n" + "\n" * 1_100_000)
    assert found.startswith("FILE: over 1,048,576 lines")


def written(taxonomy: Taxonomy, tmp_path: Path) -> list[list[str]]:
    save_taxonomy(taxonomy, tmp_path / "written.csv")
    return list(csv.reader(io.StringIO((tmp_path / "written.csv").read_text(encoding="utf-8"), newline="")))


@given(data=st.data(), taxonomy=taxonomies())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_table_written_by_hand_is_the_same_taxonomy(tmp_path: Path, data: st.DataObject, taxonomy: Taxonomy) -> None:
    rows = written(taxonomy, tmp_path)
    header = next(at for at, row in enumerate(rows) if row[0] == "L1")
    if data.draw(st.booleans(), "parents once"):
        rows = _parents_once(rows, header)
    if data.draw(st.booleans(), "other header"):
        rows[header] = [
            name.upper().replace("L", "level ") if name in LEVELS else name.title() for name in rows[header]
        ]
    if data.draw(st.booleans(), "empty columns"):
        rows = [[*row, "", " "] for row in rows]
    if data.draw(st.booleans(), "title"):
        rows.insert(0, ["What customers say"])
    out = io.StringIO(newline="")
    delimiter, ends = data.draw(st.sampled_from(",;\t")), data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    csv.writer(out, delimiter=delimiter, lineterminator=ends).writerows(rows)
    announced = data.draw(st.sampled_from(["", f"sep={delimiter}{ends}"]))
    file = tmp_path / f"t{data.draw(st.sampled_from(['.csv', '.tsv']))}"
    file.write_bytes((announced + out.getvalue()).encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))))
    assert load_taxonomy(file) == taxonomy


def _parents_once(rows: list[list[str]], header: int) -> list[list[str]]:
    """Levels but the last of a row are left empty where they are those of the row above."""
    depth = sum(name in LEVELS for name in rows[header])
    shorter = [list(row) for row in rows]
    for at in range(header + 2, len(rows)):
        above, path = rows[at - 1][:depth], rows[at][:depth]
        last = max(level for level, label in enumerate(path) if label)
        for level in range(last):
            if path[: level + 1] != above[: level + 1]:
                break
            shorter[at][level] = ""
    return shorter
