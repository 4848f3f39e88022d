"""What is wrong with data is found, counted and named."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from route_feedback import main
from taxonomy.bundled import BUNDLED_TAXONOMY, bundled_taxonomy
from taxonomy.comments import LabelledComment, Span, as_json, write_comments
from taxonomy.errors import DataInvalid
from taxonomy.language.chunks import chunks
from tests.support.strategies import comment as any_comment
from train.corpus.generator import Corpus, load_phrasebook, on_cuts
from train.data.check import check
from train.data.cuts import on_nearest_cuts
from train.data.duplicates import Duplicate, SeenTexts

TAXONOMY = bundled_taxonomy()
LEAF = TAXONOMY.leaves[0].path
COMMENTS = list(Corpus(load_phrasebook(), "train").comments(60))


def file_of(folder: Path, rows: list[Any], name: str = "data.jsonl") -> Path:
    file = folder / name
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def row_of(comment: LabelledComment, **changes: object) -> dict[str, Any]:
    return as_json(comment) | changes


ROW = row_of(COMMENTS[0])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON: the line ends in the middle of it"),
        ([], "the row is not an object"),
        ({k: v for k, v in ROW.items() if k != "segments"}, "the field 'segments' is missing"),
        (ROW | {"segments": {}}, "the field 'segments' is not a list"),
        (ROW | {"comment": 3}, "the field 'comment' is not text"),
        (ROW | {"id": 3.5}, "the field 'id' is"),
        (ROW | {"language": 3}, "the field 'language' is not text"),
        (ROW | {"mood": "bad"}, "the field 'mood' is unknown"),
        (ROW | {"segments": [ROW["segments"][0] | {"L4": "Nowhere"}]}, r"segments\[0\]: .* > Nowhere is not a leaf"),
        (
            ROW | {"segments": [ROW["segments"][0] | {"alt": [[*LEAF], ["Nowhere"]]}]},
            r"segments\[0\].alt\[1\]: Nowhere is not a leaf",
        ),
        (
            ROW | {"segments": [ROW["segments"][0] | {"content": "nowhere in it"}]},
            r"segments\[0\].content is not in the comment",
        ),
    ],
)
def test_a_row_in_error_is_named_by_file_line_and_field(tmp_path: Path, row: object, said: str) -> None:
    file = file_of(tmp_path, [ROW, row, row_of(COMMENTS[1])])
    with pytest.raises(DataInvalid, match=rf"data.jsonl:2: .*{said}"):
        check([file], TAXONOMY)
    report = check([file], TAXONOMY, skip_invalid=True)
    assert report.comments == 2
    (named,) = report.invalid
    assert "data.jsonl:2: " in named


def test_all_rows_in_error_are_named_at_once(tmp_path: Path) -> None:
    file = file_of(tmp_path, [ROW | {"mood": "bad"}, "", ROW, ROW | {"comment": 3}])
    with pytest.raises(DataInvalid) as raised:
        check([file], TAXONOMY)
    assert str(raised.value).splitlines() == [
        "2 rows in error:",
        f"  {file}:1: the field 'mood' is unknown",
        f"  {file}:4: the field 'comment' is not text",
    ]


def test_the_first_row_that_can_be_read_says_what_a_file_holds(tmp_path: Path) -> None:
    alpaca = {"instruction": "late?", "output": "Yes.", "text": "Below is an instruction."}
    files = [file_of(tmp_path, ["{", row], f"{n}.jsonl") for n, row in enumerate([ROW, alpaca, {"text": "a"}])]
    report = check(files, TAXONOMY, skip_invalid=True)
    assert (report.comments, report.chats, report.texts, len(report.invalid)) == (1, 1, 1, 3)


def test_duplicates_are_found_exact_and_near() -> None:
    seen = SeenTexts()
    long = "The picture at night is far too dark, and the app lost the connection twice this week."
    assert seen.add("a", long) is None
    assert seen.add("b", "Delivery took three weeks and nobody answered my letters.") is None
    assert seen.add("c", f"  {long.upper()} ") == Duplicate("c", "a", "exact")
    assert seen.add("d", long.replace("twice", "thrice")) == Duplicate("d", "a", "near")
    assert seen.add("e", long[:30] + " something else entirely, written by another person in June.") is None


def test_the_test_split_in_the_data_is_a_leak(tmp_path: Path) -> None:
    write_comments(COMMENTS[:40], tmp_path / "data.jsonl")
    write_comments(COMMENTS[38:50], tmp_path / "test.jsonl")
    report = check([tmp_path / "data.jsonl"], TAXONOMY, test=[tmp_path / "test.jsonl"])
    assert [(Path(leak.where).name, leak.kind) for leak in report.leaks] == [
        ("test.jsonl:1", "exact"),
        ("test.jsonl:2", "exact"),
    ]


def test_the_bundled_corpus_leaks_nothing_and_loses_nothing(tmp_path: Path) -> None:
    write_comments(COMMENTS, tmp_path / "data.jsonl")
    write_comments(Corpus(load_phrasebook(), "test").comments(40), tmp_path / "test.jsonl")
    report = check([tmp_path / "data.jsonl"], TAXONOMY, test=[tmp_path / "test.jsonl"])
    assert (report.leaks, report.duplicates, report.bounds_moved, report.segments_lost) == ([], [], 0, [])
    assert report.leaves.total() == sum(len(comment.segments) for comment in COMMENTS)
    assert set(report.languages) <= {"en", "de", "es", "fr", "und"}


def test_what_the_data_says_of_its_language_counts(tmp_path: Path) -> None:
    report = check([file_of(tmp_path, [ROW | {"language": "sv"}])], TAXONOMY)
    assert report.languages == {"sv": 1}


def spans(comment: str, *texts: str) -> LabelledComment:
    found = [Span(comment.index(text), comment.index(text) + len(text), LEAF, "negative") for text in texts]
    return LabelledComment("x", comment, tuple(found))


def test_white_space_between_segments_changes_hands_and_is_no_move() -> None:
    moved = on_nearest_cuts(spans("It came late. The app crashes.", "It came late.", "The app crashes."))
    assert moved.moved == 0
    assert [part.content for part in moved.comment.parts] == ["It came late. ", "The app crashes."]


def test_a_segment_off_the_cuts_is_moved_and_one_left_empty_is_named() -> None:
    comment = "It came late. The app crashes and the box was open."
    moved = on_nearest_cuts(spans(comment, "It came", "The app crashes and", "the box was open."))
    assert [part.content for part in moved.comment.parts] == ["It came late. ", "The app crashes and the box was open."]
    assert moved.moved > 0
    assert [comment[span.start : span.end] for span in moved.lost] == ["the box was open."]


@given(any_comment, st.data())
def test_after_the_move_every_bound_is_a_cut_and_no_segment_is_gone_unnamed(text: str, data: st.DataObject) -> None:
    bounds = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
    before = LabelledComment("x", text, tuple(Span(a, b, LEAF, "neutral") for a, b in pairs))
    moved = on_nearest_cuts(before)
    cuts = {0, *accumulate(map(len, chunks(text)))}
    assert cuts.issuperset(bound for span in moved.comment.segments for bound in (span.start, span.end))
    assert on_cuts(moved.comment.parts)
    assert len(moved.comment.segments) + len(moved.lost) == len(pairs)
    assert on_nearest_cuts(moved.comment) == (moved.comment, 0, ())


def test_the_command_reports_and_writes_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = file_of(tmp_path, [ROW, ROW | {"id": "again"}, "{", row_of(COMMENTS[1])])
    call = ["train", "check", str(data), "--taxonomy", str(BUNDLED_TAXONOMY), "--card", str(tmp_path / "card.md")]
    assert main(call) == 1
    assert "data.jsonl:3: " in capsys.readouterr().err
    assert main([*call, "--skip-invalid", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "card.json").read_text())
    assert (told["comments"], len(told["invalid"]), len(told["duplicates"])) == (3, 1, 1)
    card = (tmp_path / "card.md").read_text()
    assert "| rows that repeat an earlier one | 1 exactly, 0 nearly |" in card
    assert f"{data}:2 repeats {data}:1 (exact)" in card
    assert main(["train", "check", str(tmp_path / "none.jsonl"), "--taxonomy", str(BUNDLED_TAXONOMY)]) == 2
