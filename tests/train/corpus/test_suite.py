"""The general suite: questions of many kinds, splits apart, answers that its scorer finds right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from eval.general.suite import Question, final_number, is_right, read_questions, score_suite, write_questions
from taxonomy.errors import DataInvalid
from train.corpus.suite import ASKED, KINDS, WORLD, gsm8k, suite

GSM8K = Path("../shared/data/gsm8k")
TRAIN = list(suite("train", 6000, 0))
TEST = list(suite("test", 1100, 0))


def test_every_kind_comes_as_often() -> None:
    assert set(Counter(q.kind for q in TRAIN).values()) == {6000 // len(KINDS)}
    assert set(Counter(q.kind for q in TEST).values()) == {1100 // len(ASKED)}


def test_the_splits_share_no_question_under_any_seed() -> None:
    asked = {q.question for seed in range(3) for q in suite("train", 3000, seed)}
    assert not asked & {q.question for seed in range(3) for q in suite("test", 1100, seed)}


def test_a_question_depends_on_its_number_alone() -> None:
    assert list(suite("train", 50, 0)) == TRAIN[:50]
    assert list(suite("train", 50, 1)) != TRAIN[:50]


def test_every_fact_is_taught_openly_and_every_choice_of_the_test_is_among_other_options_or_in_another_order() -> None:
    chosen = {q.question for q in TEST if q.kind == "choice"}
    assert len(chosen) > 90
    many = list(suite("train", 60_000, 0))
    assert not chosen & {q.question for q in many}
    taught = {q.question for q in many if q.kind == "fact"}
    assert {f"What is the {attribute} of {country}?" for country, attribute in WORLD} <= taught


def test_some_kinds_alone_can_be_asked_for() -> None:
    assert Counter(q.kind for q in suite("train", 60, 0, ["sort", "fact"])) == {"sort": 30, "fact": 30}


def test_a_choice_is_in_the_format_of_mmlu_and_its_answer_is_true() -> None:
    question = next(q for q in TEST if q.kind == "choice")
    head, _, asked, *options, last = question.question.splitlines()
    assert head == "The following are multiple choice questions (with answers) about geography."
    assert [option[:3] for option in options] == ["A. ", "B. ", "C. ", "D. "]
    assert last == "Answer:"
    attribute, country = asked.removeprefix("What is the ").removesuffix("?").split(" of ")
    assert options["ABCD".index(question.answer)][3:] == WORLD[country, attribute]


def test_the_answers_of_the_suite_are_right_and_others_are_not() -> None:
    scores = score_suite(TEST, [f" {q.answer}\n" for q in TEST])
    assert scores["all"].share == 1
    assert score_suite(TEST, ["no" for _ in TEST])["all"].right == 0
    low, high = scores["choice"].interval
    assert 0.9 < low < high == 1


@pytest.mark.parametrize(
    ("said", "right"),
    [("6 x 7 = 42\n#### 42", True), ("#### 42.0", True), ("42", False), ("#### 41", False), ("#### 1 #### 42", True)],
)
def test_of_a_worked_answer_the_final_number_counts(said: str, right: bool) -> None:  # noqa: FBT001
    assert is_right(Question("gsm8k", "?", "so\n#### 42"), said) is right
    assert final_number("#### 1,234") == 1234


def test_questions_survive_their_file_and_an_error_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    write_questions(TEST, file)
    assert list(read_questions(file)) == TEST
    file.write_text(json.dumps({"messages": []}) + "\n")
    with pytest.raises(DataInvalid, match=r"q.jsonl:1: "):
        list(read_questions(file))


@pytest.mark.skipif(not GSM8K.is_dir(), reason="GSM8K is not here")
def test_gsm8k_is_read_without_calculator_marks_and_its_splits_are_apart() -> None:
    train, test = list(gsm8k(GSM8K, "train")), list(gsm8k(GSM8K, "test"))
    assert (len(train), len(test)) == (7473, 1319)
    assert not any("<<" in q.answer for q in train + test)
    assert all(final_number(q.answer) is not None for q in train + test)
    assert not {q.question for q in train} & {q.question for q in test}
