"""The drop on the same questions, pair by pair: its bound, and what a manifest keeps for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from eval.general.figures import BenchmarkScores, GeneralRun, GeneralScores, QuestionResult, Share, figure
from eval.judging.paired import drop, drop_of, drops, packed, recorded, unpacked, upper_bound

Z2 = float(norm.ppf(0.95)) ** 2
COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400)).filter(sum)


def asked(right: list[bool], prefix: str = "q") -> list[QuestionResult]:
    return [
        QuestionResult("suite", "sort", f"suite/{n}", f"{prefix}{n}", {"accuracy": (r,)}, "")
        for n, r in enumerate(right)
    ]


def scores(right: list[bool], prefix: str = "q") -> dict[str, object]:
    questions = asked(right, prefix)
    suite = BenchmarkScores({"accuracy": figure("accuracy", questions)}, {})
    return {"general": recorded(GeneralRun(GeneralScores("0", None, {"suite": suite}), questions))}


@given(COUNTS)
def test_the_bound_lies_above_the_drop_that_was_seen_and_at_most_at_one(counts: tuple[int, int, int]) -> None:
    lost, gained, same = counts
    total = lost + gained + same
    bound = upper_bound(lost, gained, total, 0.95)
    assert (lost - gained) / total < bound <= 1 or lost == total


@given(COUNTS)
def test_the_bound_is_under_zero_exactly_where_mcnemar_shows_a_gain(counts: tuple[int, int, int]) -> None:
    lost, gained, same = counts
    bound = upper_bound(lost, gained, lost + gained + same, 0.95)
    statistic = (lost - gained) / max(lost + gained, 1) ** 0.5
    if abs(statistic + Z2**0.5) > 1e-6:
        assert (bound < 0) == (statistic < -(Z2**0.5))


@pytest.mark.parametrize("total", [1, 20, 268, 14_042])
def test_where_nothing_differs_the_sample_decides_what_is_shown(total: int) -> None:
    assert upper_bound(0, 0, total, 0.95) == pytest.approx(Z2 / (total + Z2), abs=1e-8)


def test_the_bound_holds_in_nineteen_of_twenty_samples() -> None:
    rng = np.random.default_rng(0)
    true = 0.03
    samples = rng.multinomial(400, [0.08, 0.05, 0.87], size=2000)
    covered = [upper_bound(int(lost), int(gained), 400, 0.95) >= true for lost, gained, _ in samples]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_pairs_show_what_independent_samples_cannot() -> None:
    before = np.arange(2000) < 1500
    after = before.copy()
    after[:8], after[1500:1506] = False, True
    found = drop(after, before, 0.95)
    assert (found.drop, found.test.only_baseline, found.test.only_candidate) == (0.001, 8, 6)
    independent = found.drop + Z2**0.5 * (2 * 0.75 * 0.25 / 2000) ** 0.5
    assert found.upper < 0.005
    assert independent > 0.02


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_what_is_packed_is_unpacked(right: list[bool]) -> None:
    found = unpacked(packed(right), len(right))
    assert found is not None
    assert found.tolist() == right


@pytest.mark.parametrize(
    ("text", "count"), [("?", 1), ("AAA=", 99), (None, 1), ("AA==", None), ("", 0), ("AA==", True)]
)
def test_what_was_not_packed_is_nothing(text: object, count: object) -> None:
    assert unpacked(text, count) is None


def test_a_manifest_keeps_which_questions_were_right() -> None:
    found = drop_of("suite.accuracy", scores([True, False, True]), scores([True, True, True]), 0.95)
    assert found
    assert (found.asked, found.test.only_baseline) == (3, 1)
    assert list(drops(scores([True]), scores([False]))) == ["suite.accuracy"]


def test_other_questions_are_no_pairs() -> None:
    assert drop_of("suite.accuracy", scores([True, False]), scores([True, False], "other"), 0.95) is None
    assert drop_of("suite.accuracy", scores([True]), scores([True, False]), 0.95) is None
    assert drop_of("mmlu.accuracy", scores([True]), scores([True]), 0.95) is None
    assert drop_of("suite.asked", scores([True]), scores([True]), 0.95) is None
    assert drops(scores([True]), {"general": None}) == {}


def test_instructions_of_one_prompt_are_not_taken_for_pairs() -> None:
    question = QuestionResult(
        "ifeval", None, "ifeval/0", "h", {"prompt_strict": (True,), "instruction_strict": (True, False)}, ""
    )
    figures = {name: figure(name, [question]) for name in question.scores}
    scores = GeneralScores("0", None, {"ifeval": BenchmarkScores(figures, {})})
    kept = recorded(GeneralRun(scores, [question]))["ifeval"]
    prompts, instructions = kept["prompt_strict"], kept["instruction_strict"]
    assert isinstance(prompts, dict)
    assert isinstance(instructions, dict)
    assert "right" in prompts
    assert "right" not in instructions
    assert figures["instruction_strict"] == Share(0.5, None, 2)
