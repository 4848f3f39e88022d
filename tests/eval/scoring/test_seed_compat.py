"""The study's scorer, oddities and all."""

from __future__ import annotations

import random
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.scoring.seed_compat import seed_compat
from eval.scoring.tally import Rates

LEVELS = ("L1", "L2", "L3", "L4")


def segments(*labels: str) -> list[dict[str, str]]:
    return [{level: f"{label}{level}" for level in LEVELS} for label in labels]


def f1(gold: list[str], predicted: list[str], level: str = "L4") -> float | None:
    return seed_compat({"1": segments(*gold)}, {"1": segments(*predicted)})[level].f1


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (list("abcde"), 1.0),
        (list("bcde"), 0.0),
        (list("edcba"), 0.2),
        ([*"abcde", "v", "w", "x", "y", "z"], 1.0),
        ([], 0.0),
        (list("aabbccddee"), 1.0),
        (list("abc"), 0.6),
    ],
    ids=["perfect", "the first missed", "reversed", "five invented", "nothing", "repeats", "two at the end missed"],
)
def test_one_comment_of_five_labels(predicted: list[str], expected: float) -> None:
    for level in LEVELS:
        assert f1(list("abcde"), predicted, level) == pytest.approx(expected, abs=1e-12)


def test_only_ten_labels_count() -> None:
    gold = [chr(ord("a") + n) for n in range(12)]
    assert f1(gold, gold[:10]) == 1.0
    assert f1(gold, gold[:9]) == 0.9


def test_of_l4_alone_the_scope_after_the_colon_is_dropped() -> None:
    gold = {"1": [{"L1": "a", "L2": "b", "L3": "c: x", "L4": "d: its scope"}]}
    predicted = {"1": [{"L1": "a", "L2": "b", "L3": "c", "L4": "d"}]}
    scores = seed_compat(gold, predicted)
    assert scores["L4"].f1 == 1.0
    assert scores["L3"].f1 == 0.0


def test_repeats_are_dropped_before_the_scope_is() -> None:
    gold = {"1": [{"L4": "d: one"}, {"L4": "d: other"}, {"L4": "e"}]}
    assert seed_compat(gold, {"1": [{"L4": "d"}, {"L4": "e"}]})["L4"].recall == pytest.approx(1 / 3)


def test_paths_need_not_hang_together() -> None:
    gold = {"1": [{"L1": "a", "L4": "x"}, {"L1": "b", "L4": "y"}]}
    assert seed_compat(gold, {"1": [{"L1": "a", "L4": "x"}, {"L1": "b", "L4": "y"}]}) == seed_compat(
        gold, {"1": [{"L1": "a"}, {"L4": "x"}, {"L1": "b"}, {"L4": "y"}]}
    )


def test_labels_are_weighted_by_how_often_they_are_gold() -> None:
    gold = {str(n): segments("a" if n < 3 else "b") for n in range(4)}
    predicted = {str(n): segments("a") for n in range(4)}
    # a: P 3/4, R 1, F1 6/7, three times; b: 0.
    assert asdict(seed_compat(gold, predicted)["L1"]) == pytest.approx(
        {"precision": 9 / 16, "recall": 3 / 4, "f1": 9 / 14}
    )


def test_a_missing_prediction_is_an_empty_one_and_no_gold_label_is_not_scored() -> None:
    assert seed_compat({"1": segments("a")}, {})["L1"].f1 == 0.0
    assert seed_compat({"1": []}, {"1": segments("a")})["L1"] == Rates(None, None, None)


def test_a_tenth_of_the_segments_missed_looks_like_a_fifth() -> None:
    rng = random.Random(0)
    gold = {str(n): segments(*(str(rng.randrange(1420)) for _ in range(rng.randint(1, 5)))) for n in range(861)}
    predicted = {id_: [s for s in each if rng.random() > 0.1] for id_, each in gold.items()}
    f1 = seed_compat(gold, predicted)["L4"].f1
    assert f1 is not None
    assert 0.78 < f1 < 0.86


@given(labels=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8), more=st.lists(st.sampled_from("wxyz")))
@settings(max_examples=100, deadline=None)
def test_whatever_is_appended_to_a_perfect_answer_is_free(labels: list[str], more: list[str]) -> None:
    assert f1(labels, labels + more) == 1.0
