"""`eval voc` on files: scores, and what is wrong with predictions named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from route_feedback import main
from taxonomy.comments import LabelledComment, write_comments
from train.corpus.generator import Corpus, load_phrasebook


@pytest.fixture
def gold() -> list[LabelledComment]:
    return list(Corpus(load_phrasebook(), "test").comments(5))


def run(tmp_path: Path, gold: list[LabelledComment], predicted: list[LabelledComment], *more: str) -> int:
    write_comments(gold, tmp_path / "g.jsonl")
    write_comments(predicted, tmp_path / "p.jsonl")
    return main(["eval", "voc", "--gold", str(tmp_path / "g.jsonl"), "--pred", str(tmp_path / "p.jsonl"), *more])


def test_the_order_of_predictions_does_not_matter(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, gold, gold[::-1], "--json") == 0
    assert json.loads(capsys.readouterr().out)["leaf"]["micro"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_missing_extra_and_repeated_predictions_are_named_counted_and_scored(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, gold, [*gold[:-1], gold[0]], "--json") == 0
    scores = printed(capsys)
    assert scores["input"] == {
        "missing": {"count": 1, "names": ["test-000004"]},
        "repeated": {"count": 1, "names": ["test-000000"]},
    }
    assert scores["leaf"]["micro"]["precision"] == 1.0
    assert scores["leaf"]["micro"]["recall"] == 1 - len(gold[-1].segments) / scores["segments"]["gold"]
    assert run(tmp_path, gold[:-1], gold) == 0
    assert "1 predictions of comments that are not in the gold: not scored (test-000004)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "p.jsonl:1: not JSON"),
        ("[" * 100_000, "p.jsonl:1: nested too deeply"),
        ("7", "p.jsonl:1: the row is not an object"),
        ('{"id": "a", "comment": "x"}', "'segments' is missing"),
        ('{"id": 1.5, "comment": "x", "segments": []}', "'id' is neither text nor a whole number"),
        ('{"id": "a", "comment": 7, "segments": []}', "'comment' is not text"),
        ('{"id": "a", "comment": "x", "segments": [], "note": 1}', "'note' is unknown"),
        ('{"id": "a", "comment": "x", "segments": ["y"]}', "segments[0] is not an object"),
        ('{"id": "test-000000", "segments": [{"L1": "a", "confidence": {"L1": 2}}]}', "segments[0].confidence is not"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_line_and_field(
    tmp_path: Path, gold: list[LabelledComment], line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_comments(gold, tmp_path / "g.jsonl")
    (tmp_path / "p.jsonl").write_text(line + "\n")
    assert main(["eval", "voc", "--gold", str(tmp_path / "g.jsonl"), "--pred", str(tmp_path / "p.jsonl")]) == 1
    assert said in capsys.readouterr().err


def test_gold_that_cannot_be_scored_is_an_error(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("voc", "seed-compat"):
        for comments in ([], [*gold, gold[0]]):
            write_comments(comments, tmp_path / "g.jsonl")
            write_comments(gold, tmp_path / "p.jsonl")
            assert main(["eval", command, f"--gold={tmp_path / 'g.jsonl'}", f"--pred={tmp_path / 'p.jsonl'}"]) == 1
            assert "g.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["gold", "pred", "train", "groups"])
def test_a_file_that_is_no_text_is_named(
    tmp_path: Path, gold: list[LabelledComment], which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_comments(gold, tmp_path / "good.jsonl")
    (tmp_path / "bad.jsonl").write_bytes(b"\xff\xfe")
    files = {"gold": "good", "pred": "good"} | {which: "bad"}
    assert main(["eval", "voc", *(f"--{name}={tmp_path / file}.jsonl" for name, file in files.items())]) == 1
    assert "bad.jsonl: UTF-16, not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"id": 1.5, "comment": "x", "segments": []}', "g.jsonl:1: the field 'id' is neither text nor a whole number"),
        (
            '{"id": "1", "comment": "x", "segments": [{"content": "x", "L1": "a", "L3": "c", "emotion": "neutral"}]}',
            "g.jsonl:1: segments[0] has L3, and not every level above it",
        ),
        ("[" * 100_000, "g.jsonl:1: "),
    ],
)
def test_a_gold_row_at_fault_is_named(tmp_path: Path, row: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "g.jsonl").write_text(row + "\n")
    assert main(["eval", "voc", f"--gold={tmp_path / 'g.jsonl'}", f"--pred={tmp_path / 'g.jsonl'}"]) == 1
    assert said in capsys.readouterr().err


def test_every_comment_has_a_group(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    groups = tmp_path / "groups.jsonl"
    groups.write_text("".join(json.dumps({"id": c.id, "group": "en"}) + "\n" for c in gold))
    assert run(tmp_path, gold, gold, f"--groups={groups}", "--json") == 0
    assert printed(capsys)["groups"]["en"]["f1"] == 1.0
    groups.write_text('{"id": "test-000000", "group": "en"}\n')
    assert run(tmp_path, gold, gold, f"--groups={groups}") == 1
    assert "4 comments of the gold have no group, first 'test-000001'" in capsys.readouterr().err
    groups.write_text('{"id": "test-000000"}\n')
    assert run(tmp_path, gold, gold, f"--groups={groups}") == 1
    assert "groups.jsonl:1" in capsys.readouterr().err


def test_other_right_paths_count_where_they_are_asked_for_and_it_is_said(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = gold[0].segments
    other = next(span.path for span in gold[1].segments if span.path[0] != first.path[0])
    predicted = [replace(gold[0], segments=(replace(first, path=other), *rest)), *gold[1:]]
    both = replace(first, alternatives=(other, ("Nowhere",)))
    labelled = [replace(gold[0], segments=(both, *rest)), *gold[1:]]
    assert run(tmp_path, labelled, predicted, "--json") == 0
    plain = printed(capsys)
    assert plain["levels"]["L1"]["recall"] < 1
    assert "alternatives" not in plain
    strange = {"count": 1, "names": [f"{gold[0].id} segments[0].alt[1]"]}
    assert plain["input"] == {"alternative_not_in_taxonomy": strange}
    assert run(tmp_path, labelled, predicted, "--alternatives", "--json") == 0
    counted = printed(capsys)
    assert {level["f1"] for level in counted["levels"].values()} == {1.0}
    assert counted["alternatives"] == {"segments": 1, "taken": 1}
    assert run(tmp_path, labelled, predicted, "--alternatives") == 0
    assert "1 gold segments have other right paths, 1 are scored by one of them" in capsys.readouterr().out


def test_a_predictions_file_that_is_not_there_is_named(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    write_comments(gold, tmp_path / "g.jsonl")
    assert main(["eval", "voc", f"--gold={tmp_path / 'g.jsonl'}", f"--pred={tmp_path / 'none.jsonl'}"]) == 1
    assert "none.jsonl" in capsys.readouterr().err
