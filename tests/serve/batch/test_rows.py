"""A file's rows are what the API takes: kept whole, or refused by the same rules, named by file, line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from serve.batch.rows import AskedRow, RefusedRow, read_comment_file, with_defaults
from taxonomy.errors import CallWrong, DataInvalid

FULL = {
    "comment": "It came late; twice.",
    "id": "r-1",
    "metadata": {"Shop": "north"},
    "deadline_ms": 2000,
    "alternatives": 3,
}
CELLS = [
    ["comment", "id", "metadata.Shop", "deadline_ms", "alternatives"],
    ["It came late; twice.", "r-1", "north", "2000", "3"],
    ["fine", "", "", "", ""],
]


def jsonl(folder: Path) -> Path:
    file = folder / "c.jsonl"
    file.write_text("\ufeff" + json.dumps(FULL) + "\r\n\r\n" + json.dumps({"comment": "fine"}), newline="")
    return file


def array(folder: Path) -> Path:
    file = folder / "c.json"
    file.write_text("[\n" + json.dumps(FULL) + ",\n\n" + json.dumps({"comment": "fine"}) + "]")
    return file


def semicolons(folder: Path) -> Path:
    file = folder / "c.csv"
    rows = [";".join(f'"{cell}"' if ";" in cell else cell for cell in row) for row in CELLS]
    file.write_text("\ufeffsep=;\r\n" + "\r\n".join(rows), newline="")
    return file


def tabs(folder: Path) -> Path:
    file = folder / "c.tsv"
    file.write_text("\n".join("\t".join(row) for row in [["TEXT", *CELLS[0][1:]], *CELLS[1:]]))
    return file


def workbook(folder: Path) -> Path:
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(["made by the shop"])
    sheet = book.create_sheet("comments")
    sheet.append(["what customers wrote"])
    for row in CELLS:
        sheet.append([int(cell) if cell.isdigit() else cell or None for cell in row])
    book.save(folder / "c.xlsx")
    return folder / "c.xlsx"


@pytest.mark.parametrize("made", [jsonl, array, semicolons, tabs, workbook])
def test_every_field_of_the_request_is_kept_in_every_format(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    one, other = read_comment_file(made(tmp_path)).rows
    assert isinstance(one, AskedRow)
    assert isinstance(other, AskedRow)
    assert one.request.model_dump() == FULL
    assert (other.request.comment, other.request.id) == ("fine", str(other.line))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"comment": "x", "rating": 5}, "rating: is no field of this request"),
        ({"id": "a"}, "comment: is missing"),
        ({"comment": None}, "comment: is not text"),
        ({"comment": "x", "id": ["a"]}, "id: is not text"),
        ({"comment": "x", "id": True}, "id: is not text"),
        ({"comment": "x", "metadata": {"a": 1}}, "metadata.a: is not text"),
        ({"comment": "x", "deadline_ms": 0}, "deadline_ms: is no whole number of milliseconds"),
        ({"comment": "x", "alternatives": 6}, "alternatives: is no whole number from 0 to 5"),
        ({"comment": "x", "metadata": {"a": "\ud800"}}, "metadata.a: holds a lone surrogate"),
        (3, "the row is not an object"),
    ],
)
def test_a_row_in_error_is_named_and_the_others_are_read(tmp_path: Path, row: object, said: str) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text("\n".join(map(json.dumps, [FULL, row, {"comment": "fine", "id": 7}])))
    one, refused, other = read_comment_file(file).rows
    assert isinstance(one, AskedRow)
    assert isinstance(other, AskedRow)
    assert other.request.id == "7"
    assert isinstance(refused, RefusedRow)
    assert refused.line == 2
    assert refused.reason.startswith(f"{file}:2: {said}")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "comment,rating\nlate,5\n",
            "c.csv:1: unknown column 'rating'; use comment, id, deadline_ms, alternatives, or metadata.rating",
        ),
        ("comment,text\na,b\n", "c.csv:1: both comment and text are columns"),
        ("comment,id,ID\na,b,c\n", "c.csv:1: the column 'id' stands twice"),
        ("review\na\n", "c.csv: no row names a column comment or text; it begins with 'review'"),
        ("", "c.csv: no row names a column comment or text: it is empty"),
        (b"comment\ncaf\xe9\n", "c.csv:2: not UTF-8 (byte 0xE9"),
        ('comment\n"a\n', "c.csv:2: not CSV"),
    ],
)
def test_a_table_that_is_none_of_comments_is_one_line(tmp_path: Path, table: str | bytes, said: str) -> None:
    file = tmp_path / "c.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(DataInvalid) as raised:
        list(read_comment_file(file).rows)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_the_call_asks_for_holds_for_rows_that_say_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text("\n".join(map(json.dumps, [FULL, {"comment": "fine"}, {"comment": ""}, 3])))
    rows = [with_defaults(row, {"alternatives": 1}) for row in read_comment_file(file).rows]
    assert [row.request.alternatives for row in rows if isinstance(row, AskedRow)] == [3, 1, 1]
    assert sum(isinstance(row, RefusedRow) for row in rows) == 1


def test_a_comment_divided_by_mistake_is_refused_and_not_cut(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("comment\nlate, and broken\nfine\n")
    refused, asked = read_comment_file(file).rows
    assert isinstance(refused, RefusedRow)
    assert "c.csv:2: a cell without a column's name" in refused.reason
    assert isinstance(asked, AskedRow)


def test_a_sheet_is_named_where_there_are_sheets(tmp_path: Path) -> None:
    assert len(list(read_comment_file(workbook(tmp_path), "comments").rows)) == 2
    with pytest.raises(CallWrong, match="there is no sheet 'other'"):
        read_comment_file(tmp_path / "c.xlsx", "other")
    for file in (jsonl(tmp_path), semicolons(tmp_path)):
        with pytest.raises(CallWrong, match="has no sheets"):
            read_comment_file(file, "comments")
    with pytest.raises(CallWrong, match=r"save the spreadsheet as .xlsx"):
        read_comment_file(tmp_path / "c.ods")
