"""Which states a version may have, one after the other, and where a rollback leads."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.registry.state import NEXT, CheckpointState, Entry, Registered, RegistryState
from taxonomy.errors import ActivationRefused, CheckpointUnknown
from taxonomy.labels import CheckpointId, TaxonomyId

A, B, C = map(CheckpointId, ("ck_a", "ck_b", "ck_c"))
TX = TaxonomyId("tx_1")
EMPTY = RegistryState()
THREE = EMPTY.with_added(A, TX, passed=True).with_added(B, TX, passed=True).with_added(C, TX, passed=False)


@pytest.mark.parametrize(("old", "new"), list(product(CheckpointState, CheckpointState)))
def test_every_arrow_that_the_table_has_can_be_gone_and_no_other(old: CheckpointState, new: CheckpointState) -> None:
    active = {B: Registered(state=CheckpointState.ACTIVE, taxonomy=TX)} if old is not CheckpointState.ACTIVE else {}
    now = RegistryState(checkpoints={A: Registered(state=old, taxonomy=TX), **active})
    if new is CheckpointState.ACTIVE:
        after = now.with_active(A, now.active)
    elif new is CheckpointState.RETIRED:
        with_other = now.model_copy(
            update={"checkpoints": now.checkpoints | {C: Registered(state=CheckpointState.PASSED, taxonomy=TX)}}
        )
        after = with_other.with_active(C, with_other.active)
    elif new is CheckpointState.PASSED:
        after = now.with_added(A, TX, passed=True)
    else:
        after = now.with_added(A, TX, passed=False)
    reached = after.get(A).state
    assert reached == (new if new in NEXT[old] else old)


def test_activation_retires_what_was_active_and_rollback_goes_back_step_by_step() -> None:
    now = THREE.with_active(A, None).with_active(B, A).with_active(C, B)
    assert [now.get(name).state for name in (A, B, C)] == [
        CheckpointState.RETIRED,
        CheckpointState.RETIRED,
        CheckpointState.ACTIVE,
    ]
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


def test_a_record_on_disk_calls_the_checkpoints_versions() -> None:
    written = '{"versions":{"ck_a":{"state":"active","taxonomy":"tx_1"}},"behind":["ck_b"]}'
    now = RegistryState.model_validate_json(written)
    assert (now.active, now.before) == (A, B)
    assert now.model_dump_json() == written
    entry = Entry(number=1, at="2026-01-01T00:00:00+00:00", by="ada", did="activate", checkpoint=A, after=now)
    assert entry.model_dump_json().endswith(f'"after":{written}}}')
    assert Entry.model_validate_json(entry.model_dump_json()) == entry


@given(st.lists(st.sampled_from([A, B, C, None])))
def test_whatever_is_asked_one_checkpoint_at_most_is_active(requests: list[CheckpointId | None]) -> None:
    now = THREE
    for checkpoint in requests:
        try:
            now = now.with_rollback(now.active) if checkpoint is None else now.with_active(checkpoint, now.active)
        except ActivationRefused:
            continue
        assert [known.state for known in now.checkpoints.values()].count(CheckpointState.ACTIVE) == 1
        assert now.active not in now.behind[-1:]
