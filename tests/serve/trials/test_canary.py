"""Which requests a candidate gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serve.trials.canary import takes
from taxonomy.labels import CheckpointId

NAMES = [f"review-{number}" for number in range(10_000)]
TAKEN = ["review-5", "review-34", "review-37", "review-38", "review-49", "review-50"]
"""Of the first sixty, at a tenth."""
ONE, TWO = CheckpointId("ck_one"), CheckpointId("ck_two")


@given(st.text(), st.floats(0, 1))
def test_the_same_name_goes_the_same_way_each_time(name: str, share: float) -> None:
    assert takes(ONE, name, share) is takes(ONE, name, share)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_has_the_candidate_keeps_it_when_its_share_grows(name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert takes(ONE, name, more) or not takes(ONE, name, less)


@given(st.text())
def test_no_share_takes_nothing_and_the_whole_takes_all(name: str) -> None:
    assert (takes(ONE, name, 0), takes(ONE, name, 1)) == (False, True)


def test_of_many_names_the_share_is_taken() -> None:
    for share in (0.01, 0.1, 0.5):
        assert abs(sum(takes(ONE, name, share) for name in NAMES) / len(NAMES) - share) < 0.02


def test_another_candidate_gets_others() -> None:
    both = sum(takes(ONE, name, 0.1) and takes(TWO, name, 0.1) for name in NAMES)
    assert both < 0.02 * len(NAMES)


def test_an_id_is_sent_the_same_way_by_every_version_of_this_code() -> None:
    """A changed hash would send a customer to the other side in the middle of a roll-out."""
    assert [name for name in NAMES[:60] if takes(ONE, name, 0.1)] == TAKEN
