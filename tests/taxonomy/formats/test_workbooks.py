"""XLSX taxonomies as people and exporters write them: what a person sees is read, what nobody can see is a fault."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from taxonomy.errors import CallWrong, TaxonomyInvalid
from taxonomy.formats import package
from taxonomy.formats.registry import load_taxonomy, read_taxonomy, save_taxonomy
from taxonomy.tree import Leaf, taxonomy_of
from tests.taxonomy.formats.mutations import with_shared_texts

Rows = Sequence[Sequence[str | float | None]]
ROWS: Rows = [
    ["L1", "L2", "team"],
    ["Heating", "Noise", "repairs"],
    ["Heating", "Leak", "repairs"],
    ["Invoice", None, "office"],
]
THREE = taxonomy_of(
    [
        Leaf(("Heating", "Noise"), team="repairs"),
        Leaf(("Heating", "Leak"), team="repairs"),
        Leaf(("Invoice",), team="office"),
    ]
)
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.xlsx"


def save(file: Path, rows: Rows = ROWS, change: Callable[[Worksheet], None] | None = None) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append([*row])
    if change:
        change(sheet)
    book.save(file)


def edit(file: Path, part: str, *changes: tuple[str, str]) -> None:
    """Replace patterns in a part of a saved workbook, as another exporter would have written it."""
    out = io.BytesIO()
    with zipfile.ZipFile(file) as parts, zipfile.ZipFile(out, "w") as new:
        assert part in parts.namelist()
        for name in parts.namelist():
            text = parts.read(name).decode()
            for pattern, other in changes if name == part else ():
                text, count = re.subn(pattern, other, text)
                assert count, f"{pattern} stands in {text}"
            new.writestr(name, text)
    file.write_bytes(out.getvalue())


def faults_of(file: Path, sheet: str | None = None) -> list[str]:
    with pytest.raises(TaxonomyInvalid) as caught:
        load_taxonomy(file, sheet)
    return [str(fault).replace(str(file), "FILE") for fault in caught.value.faults]


@pytest.mark.parametrize("dimension", ["A1", "A1:C2", "B2:B2", "A1:XFD1048576"])
def test_what_the_exporter_says_of_the_sheet_is_not_believed(file: Path, dimension: str) -> None:
    save(file)
    edit(file, SHEET, (r'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"'), ("<row ", '<row spans="1:1" '))
    assert load_taxonomy(file) == THREE


def test_rows_and_cells_without_references_stand_where_they_are(file: Path) -> None:
    save(file)
    edit(file, SHEET, (r'<c r="[ABC][123]"', "<c"), (r'<row r="\d"', "<row"))
    assert load_taxonomy(file) == THREE


def test_references_that_contradict_each_other_are_a_fault(file: Path) -> None:
    save(file)
    edit(file, SHEET, ('r="B3"', 'r="B2"'))
    assert faults_of(file) == ["FILE:Sheet!B2: the cell 'B2' stands in row 3; save the workbook anew in a spreadsheet"]
    save(file)
    edit(file, SHEET, ('r="B3"', 'r="A3"'))
    assert faults_of(file)[0].startswith("FILE:Sheet!A3: the cell stands twice in the file")


def test_merged_cells_hold_for_all_their_rows(file: Path) -> None:
    def merge(sheet: Worksheet) -> None:
        for cells in ("A1:C1", "A3:A4", "C3:C4", "A5:B5"):
            sheet.merge_cells(cells)

    rows = [["What customers say"], ROWS[0], ROWS[1], [None, "Leak", None], ROWS[3]]
    save(file, rows, merge)
    found = read_taxonomy(file)
    assert found.taxonomy == THREE
    assert found.read == (
        "merged cells filled in 1 row",
        "1 title row above the header passed over",
        "parents carried down in 1 row",
    )


def test_a_merge_over_empty_rows_makes_no_leaves(file: Path) -> None:
    save(file, ROWS, lambda sheet: sheet.merge_cells("A4:A60"))
    edit(file, SHEET, ('ref="A4:A60"', 'ref="A4:XFD1048576"'))
    assert load_taxonomy(file) == THREE


def test_a_formula_stands_for_its_stored_value_and_is_a_fault_without_one(file: Path) -> None:
    save(file, [*ROWS[:2], ["=A2", "Leak", "=C2"], ROWS[3]])
    fault = "without a stored value; open and save the workbook in a spreadsheet, or write the value itself"
    assert faults_of(file) == [
        f"FILE:Sheet!A3: L1 is the formula '=A2' {fault}",
        f"FILE:Sheet!C3: team is the formula '=C2' {fault}",
    ]
    stored = r'<c r="\1" t="str"><f>\2</f><v>{}</v></c>'
    edit(
        file, SHEET, *((rf'<c r="({cell})"><f>([AC]2)</f><v></v></c>', stored.format(value)) for cell, value in VALUES)
    )
    assert load_taxonomy(file) == THREE


VALUES = [("A3", "Heating"), ("C3", "repairs")]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (True, "L2 is not text but TRUE; format the cell as text"),
        (0.5, "L2 is not text but 0.5; format the cell as text"),
        (10**12, "L2 is not text but 1000000000000; format the cell as text"),
        (
            dt.date(2026, 3, 1),
            "L2 is not text but 46082, shown as another number or a date; format the cell as text",
        ),
        ("#N/A", "L2 is the error #N/A; mend or empty the cell"),
    ],
)
def test_what_is_no_text_is_named_with_its_cell(file: Path, cell: str | float, fault: str) -> None:
    save(file, [*ROWS, ["Other", cell, "office"]])
    assert faults_of(file) == [f"FILE:Sheet!B5: {fault}"]


def test_a_whole_number_is_the_label_that_is_shown_unless_its_format_shows_another(file: Path) -> None:
    save(file, [*ROWS, [2024, -7, "office"]])
    assert ("2024", "-7") in load_taxonomy(file)

    def with_format(sheet: Worksheet) -> None:
        sheet["A5"].number_format = "#,##0.00"

    save(file, [*ROWS, [2024, None, "office"]], with_format)
    (found,) = faults_of(file)
    assert found.startswith("FILE:Sheet!A5: L1 is not text but 2024, shown as another number or a date")


def test_rows_that_are_hidden_are_read_and_named(file: Path) -> None:
    def hide(sheet: Worksheet) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["C"].hidden = True

    save(file, ROWS, hide)
    found = read_taxonomy(file)
    assert found.taxonomy == THREE
    assert found.read == ("1 hidden row read like the others", "hidden columns read like the others")


def several(file: Path, sheets: Mapping[str, Rows], hidden: Sequence[str] = ()) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name in hidden else "visible"
        for row in rows:
            sheet.append([*row])
    book.save(file)


def test_the_only_sheet_that_looks_like_a_taxonomy_is_read(file: Path) -> None:
    several(file, {"Notes": [["Made by", "Ana"]], "Tags": ROWS, "Old": ROWS[:2]}, hidden=["Old"])
    found = read_taxonomy(file)
    assert found.taxonomy == THREE
    assert found.read == ("sheet 'Tags' of 3",)


def test_among_several_sheets_one_must_be_named(file: Path) -> None:
    several(file, {"Draft": ROWS[:2], "Tags": ROWS})
    (found,) = faults_of(file)
    assert found.startswith("FILE: several sheets look like a taxonomy ('Draft', 'Tags'); say which with --sheet NAME")
    assert load_taxonomy(file, "Tags") == THREE
    with pytest.raises(CallWrong, match="there is no sheet 'tags'; it has 'Draft', 'Tags'"):
        load_taxonomy(file, "tags")
    save_taxonomy(THREE, file.with_suffix(".csv"))
    with pytest.raises(CallWrong, match="has no sheets"):
        load_taxonomy(file.with_suffix(".csv"), "Tags")


def test_a_hidden_sheet_is_read_where_it_is_named(file: Path) -> None:
    several(file, {"Notes": [["Made by", "Ana"]], "Tags": ROWS}, hidden=["Tags"])
    assert faults_of(file)[0].startswith("FILE: the only sheets that look like a taxonomy are hidden ('Tags')")
    assert load_taxonomy(file, "Tags") == THREE


def share(file: Path) -> None:
    file.write_bytes(with_shared_texts(file.read_bytes()))


def test_shared_texts_are_read_whole_and_without_their_pronunciation(file: Path) -> None:
    save(file)
    share(file)
    assert load_taxonomy(file) == THREE
    runs = "<si><r><rPr><b/></rPr><t>No</t></r><r><t>ise</t></r><rPh sb='0' eb='1'><t>ノイズ</t></rPh></si>"
    edit(file, "xl/sharedStrings.xml", ("<si><t>Noise</t></si>", runs), ("Leak", "Le_x0061_k"))
    assert load_taxonomy(file) == THREE


@pytest.mark.parametrize(
    ("part", "pattern", "other"),
    [
        ("xl/sharedStrings.xml", "<si><t>Noise</t></si>", "<sj><t>Noise</t></sj>"),
        ("xl/sharedStrings.xml", "<t>Noise</t>", "<u>Noise</u>"),
        (SHEET, '<c r="B3"([^>]*)>(.*?)</c>', r"<d>\2</d>"),
        (SHEET, "<sheetData>", "<sheetData>lost"),
        (SHEET, "<row ", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><row '),
        ("xl/workbook.xml", r'r:id="\w+"|(?<=sheetId="1" state="visible" )\w+:id="\w+"', 'r:id="rId99"'),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(file: Path, part: str, pattern: str, other: str) -> None:
    save(file)
    if part != SHEET:
        share(file)
    edit(file, part, (pattern, other))
    (found,) = faults_of(file)
    assert re.match(r"FILE: .*; save it anew in a spreadsheet", found), found


def test_entities_from_outside_are_never_read(file: Path) -> None:
    save(file)
    secret = file.with_name("secret")
    secret.write_text("secret")
    declared = f'<!DOCTYPE worksheet [<!ENTITY x SYSTEM "{secret.as_uri()}">]><worksheet '
    edit(file, SHEET, ("<worksheet ", declared), ("<t>Leak", "<t>&x;"))
    (found,) = faults_of(file)
    assert "has a document type" in found


def test_archives_that_unpack_to_too_much_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(file)
    monkeypatch.setattr(package, "_MAX_PART", 1000)
    assert faults_of(file) == [
        "FILE: the part 'xl/styles.xml' has over 1,000 bytes unpacked; check that it is the right file"
    ]
    monkeypatch.undo()
    monkeypatch.setattr(package, "_MAX_ELEMENTS", 30)
    assert "the workbook has over 30 elements" in faults_of(file)[0]


def test_a_number_of_no_shared_text_is_a_fault_at_its_cell(file: Path) -> None:
    save(file)
    share(file)
    edit(file, SHEET, ('(r="B3"[^>]*><v>)[0-9]+', r"\g<1>99"))
    (found,) = faults_of(file)
    assert found.startswith("FILE:Sheet!B3: L2 is text number '99', which the workbook does not hold")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an old workbook (.xls)"),
        (b"L1,team\nA,x\n", "text and no workbook"),
        (b"", "not a workbook"),
        (b"PK\x03\x04" + bytes(50), "not a workbook"),
    ],
)
def test_what_is_no_workbook_is_named(file: Path, data: bytes, fault: str) -> None:
    file.write_bytes(data)
    (found,) = faults_of(file)
    assert fault in found


@pytest.mark.parametrize("names", [["content.xml", "mimetype"], ["Index/Document.iwa"], ["xl/workbook.bin"], ["a.txt"]])
def test_other_archives_are_named(file: Path, names: list[str]) -> None:
    with zipfile.ZipFile(file, "w") as parts:
        for name in names:
            parts.writestr(name, "")
    (found,) = faults_of(file)
    assert "save it as .xlsx in a spreadsheet" in found


@pytest.mark.parametrize("ending", [".xls", ".xlsb", ".xlsm", ".ods", ".numbers"])
def test_other_spreadsheets_are_named_by_their_ending(file: Path, ending: str) -> None:
    with pytest.raises(CallWrong, match=r"which is not read; save it as \.xlsx or \.csv"):
        load_taxonomy(file.with_suffix(ending))


def test_labels_that_look_like_escapes_and_formulas_come_back(file: Path) -> None:
    odd = taxonomy_of([Leaf(("_x0041_",)), Leaf(("=A1",)), Leaf(("#N/A",)), Leaf(("2024",)), Leaf(("TRUE",))])
    save_taxonomy(odd, file)
    assert load_taxonomy(file) == odd


def test_a_text_that_no_cell_holds_is_not_cut(file: Path) -> None:
    synonyms = tuple(f"{number:04} {'x' * 90}" for number in range(400))
    with pytest.raises(CallWrong, match="over 32,767 characters"):
        save_taxonomy(taxonomy_of([Leaf(("A",), synonyms=synonyms)]), file)
    assert not file.exists()
