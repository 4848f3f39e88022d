"""`eval voc` on files: scores, and what is wrong with predictions named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.__main__ import main
from taxonomy.comments import LabelledComment, write_comments
from train.corpus import Corpus, load_phrasebook


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


def test_missing_extra_and_repeated_predictions_are_named(
    tmp_path: Path, gold: list[LabelledComment], capsys: pytest.CaptureFixture[str]
) -> None:
    for predicted, said in (
        (gold[:-1], "1 predictions are missing, first 'test-000004'"),
        ([*gold, gold[0]], "id 'test-000000' stands twice"),
    ):
        assert run(tmp_path, gold, predicted) == 1
        assert said in capsys.readouterr().err
    assert run(tmp_path, gold[:-1], gold) == 1
    assert "1 predictions have no gold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "p.jsonl:1"),
        ('{"id": "a", "comment": "x"}', "'segments' is missing"),
        ('{"id": "a", "comment": "x", "segments": [], "note": 1}', "'note' is unknown"),
        ('{"id": "a", "comment": "x", "segments": [{"content": "y"}]}', "segments[0].content is not in the comment"),
        (
            '{"id": "a", "comment": "x", "segments": [{"content": "x", "L1": "a", "emotion": "glad"}]}',
            "segments[0].emotion is not one of",
        ),
    ],
)
def test_a_bad_row_is_named_by_line_and_field(
    tmp_path: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "g.jsonl").write_text("")
    (tmp_path / "p.jsonl").write_text(line + "\n")
    assert main(["eval", "voc", "--gold", str(tmp_path / "g.jsonl"), "--pred", str(tmp_path / "p.jsonl")]) == 1
    assert said in capsys.readouterr().err
