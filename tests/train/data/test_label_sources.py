"""Comments labelled elsewhere: Label Studio's export and tables, read as labelled comments or named by place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from route_feedback import main
from taxonomy.comments import LabelledComment, read_comments, write_comments
from taxonomy.comments import Span as CommentSpan
from taxonomy.jsonl import Row
from train.data.label_names import LabelNames
from train.data.label_sources import LabelReading
from train.data.label_studio import comment_of

LATE = ("Delivery", "Late")
CRASH = ("App", "Crashes", "On Start", "After an Update")
LEAVES = "L1,L2,L3,L4\nDelivery,Late,,\nApp,Crashes,On Start,After an Update\nApp,Slow,,\nShop,Slow,,\n"
TEXT = "\U0001f600 It came late. The app crashes!"


def span(text: str, start: int, label: str, **more: object) -> dict[str, Any]:
    value = {"start": start, "end": start + len(text), "text": text, "labels": [label], **more}
    return {"id": f"r{start}", "type": "labels", "from_name": "label", "to_name": "text", "value": value}


def choice(*names: str, **value: object) -> dict[str, Any]:
    return {"id": "c", "type": "choices", "value": {"choices": list(names), **value}}


def task(*results: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"id": 7, "data": {"text": TEXT}, "annotations": [{"id": 1, "result": list(results)}], **more}


def convert(folder: Path, source: Path | list[Any], *arguments: str) -> int:
    if isinstance(source, list):
        (folder / "in.json").write_text(json.dumps(source, indent=1))
        source = folder / "in.json"
    (folder / "taxonomy.csv").write_text(LEAVES)
    return main(["train", "convert", str(source), str(folder / "out.jsonl"), *arguments])


def read(folder: Path) -> list[LabelledComment]:
    return list(read_comments(folder / "out.jsonl"))


@pytest.mark.parametrize("units", [0, 1])
def test_spans_are_read_whichever_units_they_are_counted_in(tmp_path: Path, units: int) -> None:
    """An emoji is one code point, and two units of UTF-16."""
    results = [
        span("The app crashes!", 16 + units, " > ".join(CRASH)),
        span("It came late.", 2 + units, " > ".join(LATE)),
        choice("Positive", start=2 + units, end=15 + units),
        choice("negative") | {"id": "of the text"},
    ]
    assert convert(tmp_path, [task(*results)]) == 0
    (comment,) = read(tmp_path)
    assert (comment.id, comment.comment) == ("7", TEXT)
    late, crash = comment.segments
    assert (TEXT[late.start : late.end], late.path, late.emotion) == ("It came late.", LATE, "positive")
    assert (TEXT[crash.start : crash.end], crash.path, crash.emotion) == ("The app crashes!", CRASH, "negative")


@given(st.text(st.sampled_from("a\U0001f600é\n "), min_size=1, max_size=12), st.data())
def test_a_span_in_either_unit_is_the_text_that_was_marked(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    in_points = data.draw(st.booleans())
    first, last = (at if in_points else len(text[:at].encode("utf-16-le")) // 2 for at in (start, end))
    value = {"start": first, "end": last, "text": text[start:end], "labels": ["A > B"]}
    row = {"id": 1, "data": {"text": f"{text}."}, "annotations": [{"result": [{"type": "labels", "value": value}]}]}
    comment = comment_of(Row(row, "f:1", 1), LabelReading(LabelNames(None)))
    assert comment
    (found,) = comment.segments
    assert comment.comment[found.start : found.end] == text[start:end]


def test_labels_of_a_whole_text_are_one_segment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [
        task({"type": "taxonomy", "value": {"taxonomy": [["App"], ["App", "Slow"]]}}, choice("neutral")),
        task(choice("After an Update")) | {"data": {"text": "It crashes.", "id": "own"}},
        task() | {"data": {"text": "Hello."}},
        task() | {"annotations": []},
        task() | {"annotations": [{"was_cancelled": True, "result": []}]},
    ]
    assert convert(tmp_path, tasks, "--taxonomy", str(tmp_path / "taxonomy.csv"), "--emotion", "negative") == 0
    slow, crash, none = read(tmp_path)
    assert slow.segments == (CommentSpan(0, len(TEXT), ("App", "Slow"), "neutral"),)
    assert (crash.id, crash.segments) == ("own", (CommentSpan(0, 11, CRASH, "negative"),))
    assert none.segments == ()
    said = capsys.readouterr().out
    assert "3 labelled comments" in said
    assert "2 tasks that nobody has labelled, left out" in said
    assert "segments without an emotion, read as negative" in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (task(span("It came late.", 5, "A > B")), "the spans' offsets do not fit their texts"),
        (task(span("late.", 10, "A > B"), span("came late", 5, "A > C")), "the span 10 to 15 overlaps"),
        (task(span("late.", 10, "A > B"), choice("A > C", start=10, end=15)), "the span 10 to 15 has 2 labels"),
        (task(choice("negative", start=10, end=15)), "the span 10 to 15 has no label"),
        (task(span("late.", 10, "A > B"), choice("A > C")), "labels both of spans and of the whole text"),
        (task(choice("A > B", "A > C")), "the text has 2 labels"),
        (task(span("late.", 10, "Late")), "result[0].value.labels: 'Late' is no whole path"),
        (task(span("late.", 10, "A > B > C > D > E")), "has 5 levels, over 4"),
        (task({"type": "hypertextlabels", "value": {}}), "only spans of plain text"),
        (task() | {"data": {"a": "x", "b": "y"}}, "which field is the comment? name one of 'a', 'b' with --text"),
        (task() | {"annotations": [{"result": []}, {"result": []}]}, "2 of one comment; mark one of them as ground"),
        ({"id": 1, "text": "x", "annotator": 1, "annotation_id": 2}, "JSON-MIN export; export as JSON"),
    ],
)
def test_a_task_that_is_no_labelled_comment_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any], said: str
) -> None:
    assert convert(tmp_path, [task(), row]) == 1
    error = capsys.readouterr().err
    assert "in.json:" in error
    assert said in error
    assert not (tmp_path / "out.jsonl").exists()


def table(folder: Path, ending: str, rows: list[list[str]]) -> Path:
    file = folder / f"in{ending}"
    if ending == ".xlsx":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        for row in rows:
            sheet.append([cell or None for cell in row])
        book.save(file)
    else:
        mark = "\t" if ending == ".tsv" else ";"
        file.write_text("\ufeff" + "\r\n".join(mark.join(row) for row in rows), newline="")
    return file


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx"])
@pytest.mark.parametrize(
    "rows",
    [
        [["id", "comment", "label", "emotion"], ["a", "late", "Delivery > Late", "Negative"], ["b", "ok", "Late", ""]],
        [["ID", "Text", "Category", "Emotion"], ["a", "late", "Late", "negative"], ["b", "ok", "Late", ""]],
        [
            ["id", "text", "L1", "L2", "L3", "L4", "emotion"],
            ["a", "late", "Delivery", "Late", "", "", "negative"],
            ["b", "ok", "Delivery", "Late", "", "", ""],
        ],
    ],
)
def test_a_table_is_read_a_comment_a_row(tmp_path: Path, ending: str, rows: list[list[str]]) -> None:
    assert convert(tmp_path, table(tmp_path, ending, rows), "--taxonomy", str(tmp_path / "taxonomy.csv")) == 0
    assert read(tmp_path) == [
        LabelledComment("a", "late", (CommentSpan(0, 4, LATE, "negative"),)),
        LabelledComment("b", "ok", (CommentSpan(0, 2, LATE, "neutral"),)),
    ]


def test_columns_may_be_named_and_what_is_not_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["review", "topic", "stars"], ["late", "Delivery > Late", "1"], ["slow", "App > Slow", "2"]]
    file = table(tmp_path, ".csv", rows)
    assert convert(tmp_path, file, "--text", "review", "--label", "topic") == 0
    assert [comment.id for comment in read(tmp_path)] == ["line-000002", "line-000003"]
    said = capsys.readouterr().out
    assert "columns not read: stars" in said
    assert "divided by a semicolon" in said


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["comment", "label"], ["a", "Slow"]], "in.csv:2: 'Slow' is the name of 2 leaves, give the whole path"),
        ([["comment", "label"], ["a", "Fast"]], "in.csv:2: 'Fast' is no leaf of the taxonomy"),
        ([["comment", "label"], ["a", "App > Fast"]], "in.csv:2: 'App > Fast' is no leaf of the taxonomy"),
        ([["comment", "label"], ["a", ""]], "in.csv:2: label is empty"),
        ([["comment", "label"], ["", "Late"]], "in.csv:2: comment is empty"),
        ([["comment", "L1", "L2"], ["a", "", "Late"]], "in.csv:2: ' > Late' lacks L1"),
        ([["comment", "label", "emotion"], ["a", "Late", "angry"]], "in.csv:2: emotion: 'angry' is not one of"),
        ([["comment", "stars"], ["a", "1"]], "in.csv:1: no column holds the label"),
        ([["comment", "label", "L1"], ["a", "Late", "b"]], "in.csv:1: label, L1: which holds the label?"),
        ([["comment", "L1", "L3"], ["a", "b", "c"]], "in.csv:1: the columns of the levels are L1, L3"),
        ([["review", "label"], ["a", "Late"]], "no row names a column comment or text"),
    ],
)
def test_a_table_in_error_is_named_by_its_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[list[str]], said: str
) -> None:
    file = table(tmp_path, ".csv", rows)
    assert convert(tmp_path, file, "--taxonomy", str(tmp_path / "taxonomy.csv")) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_segment_whose_words_stand_earlier_too_keeps_its_place(tmp_path: Path) -> None:
    comment = LabelledComment("a", "late, late, late", (CommentSpan(6, 10, LATE, "neutral"),))
    write_comments([comment], tmp_path / "c.jsonl")
    assert list(read_comments(tmp_path / "c.jsonl")) == [comment]
