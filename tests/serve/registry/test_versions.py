"""Which states a version may have, one after the other, and where a rollback leads."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.registry.versions import NEXT, State, Version, Versions
from taxonomy.errors import ActivationRefused, CheckpointUnknown
from taxonomy.labels import CheckpointId, TaxonomyId

A, B, C = map(CheckpointId, ("ck_a", "ck_b", "ck_c"))
TX = TaxonomyId("tx_1")
EMPTY = Versions()
THREE = EMPTY.with_added(A, TX, passed=True).with_added(B, TX, passed=True).with_added(C, TX, passed=False)


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_every_arrow_that_the_table_has_can_be_gone_and_no_other(old: State, new: State) -> None:
    active = {B: Version(state=State.ACTIVE, taxonomy=TX)} if old is not State.ACTIVE else {}
    now = Versions(versions={A: Version(state=old, taxonomy=TX), **active})
    if new is State.ACTIVE:
        after = now.with_active(A, now.active)
    elif new is State.RETIRED:
        with_other = now.model_copy(update={"versions": now.versions | {C: Version(state=State.PASSED, taxonomy=TX)}})
        after = with_other.with_active(C, with_other.active)
    elif new is State.PASSED:
        after = now.with_added(A, TX, passed=True)
    else:
        after = now.with_added(A, TX, passed=False)
    reached = after.get(A).state
    assert reached == (new if new in NEXT[old] else old)


def test_activation_retires_what_was_active_and_rollback_goes_back_step_by_step() -> None:
    now = THREE.with_active(A, None).with_active(B, A).with_active(C, B)
    assert [now.get(name).state for name in (A, B, C)] == [State.RETIRED, State.RETIRED, State.ACTIVE]
    now = now.with_rollback(C)
    assert (now.active, now.before) == (B, A)
    now = now.with_rollback(B)
    assert (now.active, now.behind) == (A, ())
    with pytest.raises(ActivationRefused, match="nothing to roll back to"):
        now.with_rollback(A)


def test_who_decided_on_an_older_state_is_refused() -> None:
    now = THREE.with_active(A, None)
    with pytest.raises(ActivationRefused, match="ck_a became active meanwhile, instead of None"):
        now.with_active(B, None)


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(CheckpointUnknown, match="has no checkpoint ck_b"):
        EMPTY.with_active(B, None)


def test_a_version_keeps_the_taxonomy_that_it_came_with() -> None:
    with pytest.raises(ActivationRefused, match="already, with taxonomy tx_1"):
        THREE.with_added(A, TaxonomyId("tx_2"), passed=True)


@given(st.lists(st.sampled_from([A, B, C, None])))
def test_whatever_is_asked_one_version_at_most_is_active(wishes: list[CheckpointId | None]) -> None:
    now = THREE
    for wish in wishes:
        try:
            now = now.with_rollback(now.active) if wish is None else now.with_active(wish, now.active)
        except ActivationRefused:
            continue
        assert [version.state for version in now.versions.values()].count(State.ACTIVE) == 1
        assert now.active not in now.behind[-1:]
