"""What candidates are scored on is not learned from, and is the same whatever the seed of the order."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import LabelledComment, write_comments
from taxonomy.errors import DataInvalid
from train.choosing.validation import Validation, is_asked, validation
from train.corpus.generator import Corpus, load_phrasebook, with_validation
from train.corpus.suite import ASKED, suite
from train.data.customers import CheckedComments, Comments, HashSplit, comments_of
from train.recipe import Recipe


def recipe(**changes: Any) -> Recipe:
    choose = changes.pop("choose", {}) | {"comments": 20, "questions": 30}
    return Recipe.model_validate({"corpus": 60, "exposures": 1, "choose": choose} | changes)


def learned_of(asked: Recipe) -> CheckedComments:
    return comments_of(asked.corpus, choosing=asked.choose)


def scored_on(asked: Recipe, learned: Comments) -> Validation:
    assert asked.choose
    return validation(asked.choose, learned, asked.seed if asked.replay else None)


def test_no_phrasing_of_the_validation_split_is_left_in_training_and_no_leaf_loses_its_last() -> None:
    book = load_phrasebook()
    split = with_validation(book)
    held = 0
    for path, by_language in book.phrases["train"].items():
        for language, phrases in by_language.items():
            rest, out = split.phrases["train"][path][language], split.phrases["validation"][path][language]
            assert rest
            assert not set(rest) & set(out)
            assert sorted(p.text for p in (*rest, *out)) == sorted(p.text for p in phrases)
            held += len(out)
    share = held / sum(len(p) for by in book.phrases["train"].values() for p in by.values())
    assert 0.07 < share < 0.13
    assert split.phrases["test"] is book.phrases["test"]


def test_validation_comments_of_the_generator_are_made_of_held_out_phrasings() -> None:
    asked = recipe()
    trained = learned_of(asked).comments
    found = scored_on(asked, trained)
    assert len(found.comments) == 20
    assert len(trained) == 60
    assert not {comment.comment for comment in trained} & {comment.comment for comment in found.comments}
    assert found == scored_on(recipe(seed=3), trained)


def test_without_a_choice_the_corpus_is_as_it_was() -> None:
    plain = comments_of(5)
    assert list(plain.comments) == list(Corpus(load_phrasebook(), "train").comments(5))


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    comments = list(Corpus(load_phrasebook(), "train").comments(60))
    shouted = [
        LabelledComment(f"again-{c.id}", c.comment.upper(), c.segments)
        for c in comments
        if len(c.comment.upper()) == len(c.comment)
    ]
    write_comments([*comments, *shouted], tmp_path / "data.jsonl")
    return {"comments": [str(tmp_path / "data.jsonl")], "taxonomy": str(BUNDLED_TAXONOMY)}


def test_comments_of_a_file_are_held_out_by_their_text_with_all_that_repeats_them(data: dict[str, Any]) -> None:
    asked = recipe(corpus=data)
    trained = learned_of(asked).comments
    assert isinstance(trained, HashSplit)
    learned = {comment.comment.casefold() for comment in trained}
    held = {comment.comment.casefold() for comment in HashSplit(trained.whole, trained.one_in, held_out=True)}
    assert not learned & held
    assert len(trained) + sum(1 for _ in HashSplit(trained.whole, trained.one_in, held_out=True)) == len(trained.whole)
    found = scored_on(asked, trained)
    assert {comment.comment.casefold() for comment in found.comments} <= held


def test_files_of_validation_comments_leave_the_data_whole(data: dict[str, Any]) -> None:
    asked = recipe(corpus=data, choose={"validation": data["comments"]})
    trained, report = learned_of(asked)
    assert report
    assert len(trained) == report.comments
    found = scored_on(asked, trained)
    assert len(found.comments) == 20
    assert report.leaks, "they stand in the data, and that is reported"


def test_questions_that_are_asked_are_not_replayed_and_kinds_that_teach_are_never_asked() -> None:
    asked = recipe(replay=[{"name": "suite", "suite": 200, "share": 0.2}])
    found = scored_on(asked, learned_of(asked).comments)
    assert len(set(found.questions)) == 30
    assert all(map(is_asked, found.questions))
    kinds = {question.kind for question in found.questions}
    assert kinds <= set(ASKED), "what teaches facts is never asked"
    assert len(kinds) > len(ASKED) / 2
    drawn = list(islice(suite("train", 2000, 0), 2000))
    assert 0.05 < sum(map(is_asked, drawn)) / len(drawn) < 0.15


def test_comments_without_a_segment_cannot_judge(tmp_path: Path) -> None:
    write_comments([LabelledComment("1", "Hello there.", ())], tmp_path / "empty.jsonl")
    asked = recipe(choose={"validation": [str(tmp_path / "empty.jsonl")]})
    with pytest.raises(DataInvalid, match="no validation comment has a labelled segment"):
        scored_on(asked, learned_of(asked).comments)


def test_what_is_frequent_stays_so_where_phrasings_are_held_out() -> None:
    book = load_phrasebook()
    assert Corpus(with_validation(book), "validation").ranked == Corpus(book, "train").ranked
