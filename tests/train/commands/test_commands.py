"""What `route-feedback train ...` and `corpus ...` take and print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.general.suite import read_questions
from route_feedback import CORPUS, TRAIN, main
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import read_comments, write_comments
from train.corpus.generator import Corpus, load_phrasebook

CALLS = [["train", name] for name in TRAIN.commands] + [["corpus", name] for name in CORPUS.commands]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_command_says_what_it_takes(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*call, "--help"]) == 0
    assert f"Usage: route-feedback {' '.join(call)}" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_command_of_train_is_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nowhere.yaml", "--out", "x"]) == 2
    assert "there is no recipe nowhere.yaml" in capsys.readouterr().err


def test_the_suite_is_written_as_two_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "suite", str(tmp_path / "suite"), "--train", "24", "--test", "11"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'suite' / 'train.jsonl'}: 24 questions",
        f"{tmp_path / 'suite' / 'test.jsonl'}: 11 questions",
    ]
    assert len(list(read_questions(tmp_path / "suite" / "train.jsonl"))) == 24


def test_the_corpus_is_written_from_any_number_on_with_the_language_of_each(tmp_path: Path) -> None:
    file, languages = tmp_path / "test.jsonl", tmp_path / "languages.jsonl"
    assert (
        main(["corpus", "write", "test", str(file), "--count", "3", "--start", "5", "--languages", str(languages)]) == 0
    )
    assert list(read_comments(file)) == list(Corpus(load_phrasebook(), "test").comments(3, 5))
    groups = [json.loads(line) for line in languages.read_text().splitlines()]
    assert [row["id"] for row in groups] == [comment.id for comment in read_comments(file)]
    assert {row["group"] for row in groups} <= {"en", "de", "es", "fr"}


def test_several_files_are_checked_against_several_test_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comments = list(Corpus(load_phrasebook(), "train").comments(4))
    files = [tmp_path / f"{number}.jsonl" for number in range(4)]
    for file, comment in zip(files, comments, strict=True):
        write_comments([comment], file)
    data, tests = files[:2], [*files[1:3]]
    call = ["train", "check", *map(str, data), "--taxonomy", str(BUNDLED_TAXONOMY), "--json"]
    assert main([*call, *(argument for file in tests for argument in ("--test", str(file)))]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["comments"] == 2
    assert report["leaks"] == [{"where": f"{files[1]}:1", "earlier": f"{files[1]}:1", "kind": "exact"}]
