"""One reader of JSONL: what people's files hold is read, and what cannot be is named by its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.errors import DataInvalid
from taxonomy.jsonl import FAULTS_SHOWN, Row, first_row, id_text, parsed, read_rows, without_faults

TWO = [{"id": "a", "text": "late"}, {"id": "b", "text": "fine"}]
LINES = [json.dumps(row) for row in TWO]


def rows_of(folder: Path, data: bytes | str) -> list[Row | DataInvalid]:
    file = folder / "rows.jsonl"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_rows(file))


def values(folder: Path, data: bytes | str) -> list[Any]:
    return [row.value if isinstance(row, Row) else str(row) for row in rows_of(folder, data)]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("\n".join(LINES), [1, 2]),
        ("\ufeff" + "\n".join(LINES) + "\n", [1, 2]),
        ("\ufeff" + LINES[0] + "\n\ufeff" + LINES[1], [1, 2]),
        ("\r\n".join(LINES) + "\r\n", [1, 2]),
        ("\r".join(LINES), [1, 2]),
        ("\n  \n" + "\n\t\n".join(LINES) + "\n\n", [3, 5]),
        (gzip.compress("\n".join(LINES).encode(), mtime=0), [1, 2]),
        (json.dumps(TWO), [1, 1]),
        (json.dumps(TWO, indent=2), [2, 6]),
        ("\ufeff\r\n[\r\n" + ",\r\n".join(LINES) + "\r\n]\r\n", [3, 4]),
        ("[" + LINES[0] + "\r," + LINES[1] + "]", [1, 2]),
    ],
)
def test_rows_are_read_however_they_are_laid_out(tmp_path: Path, data: bytes | str, lines: list[int]) -> None:
    found = rows_of(tmp_path, data)
    assert [row.value for row in found if isinstance(row, Row)] == TWO
    assert [row.where for row in found if isinstance(row, Row)] == [f"{tmp_path}/rows.jsonl:{n}" for n in lines]


@pytest.mark.parametrize("data", ["", "\n \n", "\ufeff", "[]", "[\n]\n", gzip.compress(b"", mtime=0)])
def test_a_file_without_a_row_has_none(tmp_path: Path, data: bytes | str) -> None:
    assert rows_of(tmp_path, data) == []
    assert first_row(tmp_path / "rows.jsonl") == {}


def test_no_separator_inside_a_text_ends_a_line(tmp_path: Path) -> None:
    row = {"text": "a\u2028b\u2029c\u0085d\x0b\x0c\x1c\x1d\x1e\x7fe"}
    data = json.dumps(row, ensure_ascii=False)
    assert values(tmp_path, f"{data}\n{data}\n") == [row, row]
    assert values(tmp_path, f"[{data},\n{data}]") == [row, row]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{'id': 1}", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        ('{"id": "c"', "not JSON: the line ends in the middle of it"),
        ("{", "not JSON: the line ends in the middle of it"),
        (LINES[0] + ",", "not JSON: more follows the row's end"),
        (LINES[0] + LINES[1], "not JSON: more follows the row's end"),
        ("3", "the row is not an object"),
        ("[1]", "the row is not an object"),
        ('{"id": "c", "x": {"k": 1, "l": 2, "k": 1}}', "the key 'k' stands twice in one object"),
        ('{"a": {"b": ["\\ud83d"]}}', r"a.b[0]: holds a lone surrogate"),
        ('{"a": {"b\\uDE00": 1}}', "a: a key holds a lone surrogate"),
        ('{"a": [NaN]}', "a[0]: not a number of JSON's"),
        ('{"a": -Infinity}', "a: not a number of JSON's"),
        ('{"a": 1e999}', "a: not a number of JSON's"),
        ('{"a": ' + "9" * 5000 + "}", "a whole number has too many digits"),
        ('{"a": ' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
    ],
)
def test_a_row_in_error_is_named_by_its_line_and_the_others_are_read(tmp_path: Path, line: str, said: str) -> None:
    one, fault, other = values(tmp_path, f"{LINES[0]}\n{line}\n{LINES[1]}\n")
    assert [one, other] == TWO
    assert fault.startswith(f"{tmp_path}/rows.jsonl:2: {said}")
    assert "\n" not in fault


def test_an_escaped_pair_of_surrogates_is_a_character(tmp_path: Path) -> None:
    assert values(tmp_path, '{"a": "\\ud83d\\ude00"}') == [{"a": "😀"}]


def test_an_element_in_error_is_named_by_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    one, fault, odd, other = values(tmp_path, f'[{LINES[0]},\n3,\n{{"a": "\\ud800"}},\n{LINES[1]}]')
    assert [one, other] == TWO
    assert fault == f"{tmp_path}/rows.jsonl:2: the row is not an object"
    assert odd.startswith(f"{tmp_path}/rows.jsonl:3: a: holds a lone surrogate")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("[" + LINES[0] + ",\n" + LINES[1], ":2: the array of rows breaks off here: Expecting ',' delimiter"),
        ("[" + LINES[0] + ",\n\n]", ":1: the array of rows breaks off here: a comma before its end"),
        ("[" + LINES[0] + "\n" + LINES[1] + "]", ":2: the array of rows breaks off here: Expecting ',' delimiter"),
        ("[\n" + LINES[0] + "\n]\n" + LINES[1], ":4: the array of rows breaks off here: something follows its end"),
        ("[\n{\"a\": 'b'}]", ":2: the array of rows breaks off here: Expecting value"),
        ("[", ":1: the array of rows breaks off here: Expecting value"),
        ("[" * 100_000, ":1: nested too deeply"),
        ("\n".join(LINES).encode("utf-16"), ": UTF-16, not UTF-8; save it as UTF-8"),
        ("\n".join(LINES).encode("utf-16-le"), ": UTF-16, not UTF-8; save it as UTF-8"),
        ("\n".join(LINES).encode("utf-32"), ": UTF-32, not UTF-8; save it as UTF-8"),
        (LINES[0].encode() + b'\n{"a": "caf\xe9"}', ":2: not UTF-8 (0xe9 at byte 11 of the line)"),
        (gzip.compress("\n".join(LINES).encode(), mtime=0)[:-9], ": the gzip data is broken"),
        (b"\x1f\x8bno gzip at all", ": the gzip data is broken"),
    ],
)
def test_a_file_that_cannot_be_read_on_is_one_line(tmp_path: Path, data: bytes | str, said: str) -> None:
    with pytest.raises(DataInvalid) as raised:
        rows_of(tmp_path, data)
    assert str(raised.value).startswith(f"{tmp_path}/rows.jsonl{said}")
    assert "\n" not in str(raised.value)


def test_all_rows_in_error_are_named_at_once_up_to_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(LINES[0] + "\n" + "{\n" * (FAULTS_SHOWN + 5) + LINES[1])
    given = without_faults(read_rows(file))
    assert next(given).value == TWO[0]
    with pytest.raises(DataInvalid) as raised:
        next(given)
    first, *faults, last = str(raised.value).splitlines()
    assert first == f"{FAULTS_SHOWN + 5} rows in error:"
    assert [fault.split(": ")[0] for fault in faults] == [f"  {file}:{n}" for n in range(2, FAULTS_SHOWN + 2)]
    assert last == "  and 5 more"


def test_what_a_reader_finds_wrong_is_named_by_the_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"n": 1}\n{"m": 1}\n{"n": "x"}\n')
    one, missing, wrong = parsed(file, lambda row: int(row.value["n"]))
    assert (one, str(missing)) == (1, f"{file}:2: the field 'n' is missing")
    assert str(wrong).startswith(f"{file}:3: invalid literal")


@pytest.mark.parametrize(("given", "text"), [("a", "a"), (7, "7"), (-1, "-1"), (10**30, "1" + "0" * 30)])
def test_a_whole_number_is_an_id_by_its_digits(given: object, text: str) -> None:
    assert id_text(given) == text


@pytest.mark.parametrize("given", [None, True, 1.0, "", " ", ["a"]])
def test_what_else_is_no_id(given: object) -> None:
    with pytest.raises(ValueError, match="neither text nor a whole number"):
        id_text(given)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
layouts = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "array", "indented"])


@given(
    rows=st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=3), max_size=4),
    layout=layouts,
    escaped=st.booleans(),
)
def test_what_is_written_in_any_layout_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, *, rows: list[dict[str, Any]], layout: str, escaped: bool
) -> None:
    if layout in ("array", "indented"):
        text = json.dumps(rows, ensure_ascii=escaped, indent=1 if layout == "indented" else None)
    else:
        text = layout.join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    assert values(tmp_path_factory.getbasetemp(), text) == rows


@given(st.binary(max_size=60) | st.lists(st.sampled_from([*'[]{}",:\\ud8\n\r 1e9N', "\ufeff"])).map("".join))
def test_no_input_ends_otherwise_than_in_rows_or_named_faults(
    tmp_path_factory: pytest.TempPathFactory, data: bytes | str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = rows_of(folder, data)
    except DataInvalid as error:
        found = [error]
    assert all(str(fault).startswith(f"{folder}/rows.jsonl:") for fault in found if isinstance(fault, DataInvalid))
