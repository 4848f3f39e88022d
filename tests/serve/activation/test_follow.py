"""A replica serves what the registry says, whoever changed it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serve.activation.activation import ActivationRequest
from serve.activation.follow import Follower
from serve.activation.replica import Replica
from serve.registry.lease import Lease
from serve.registry.registry import Registry
from serve.registry.state import RegistryState
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.trials.evidence import read_evidence
from serve.trials.trial import TrialPlan, TrialRequest
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import ActivationRefused, EngineFailed
from tests.support.checkpoints import proven, root_of, unpublished
from tests.support.clocks import ManualClock
from tests.support.two_checkpoints import TwoCheckpoints, until


@pytest.fixture
def replica(two: TwoCheckpoints) -> Replica:
    return two.replica()


def follower_of(two: TwoCheckpoints, replica: Replica, clock: ManualClock | None = None) -> Follower:
    return Follower(replica, two.metrics.activations, 10, clock or ManualClock())


def elsewhere(two: TwoCheckpoints) -> Registry:
    """The same registry, as another process has it."""
    return Registry(two.registry.store)


def skew(two: TwoCheckpoints) -> float | None:
    return two.metrics.answers.registry.get_sample_value("route_feedback_checkpoint_skew")


async def test_where_nothing_has_changed_nothing_is_done(two: TwoCheckpoints, replica: Replica) -> None:
    await follower_of(two, replica).look()
    assert two.phases == []
    assert skew(two) == 0


async def test_what_became_active_elsewhere_is_verified_and_serves_here(two: TwoCheckpoints, replica: Replica) -> None:
    elsewhere(two).activate(two.second, two.first, "another replica")
    journal = len(two.registry.journal())
    await follower_of(two, replica).look()
    assert (await two.ask())[0] == two.second
    assert two.engines[two.first].closed
    assert len(two.registry.journal()) == journal, "following changes nothing in the registry"
    assert skew(two) == 0


async def test_a_rollback_elsewhere_is_followed_too(two: TwoCheckpoints, replica: Replica) -> None:
    follower = follower_of(two, replica)
    elsewhere(two).activate(two.second, two.first, "another replica")
    await follower.look()
    elsewhere(two).roll_back(two.first, two.second, "another replica")
    await follower.look()
    assert (await two.ask())[0] == two.first


async def test_while_another_replica_loads_it_waits_and_the_skew_is_seen(two: TwoCheckpoints, replica: Replica) -> None:
    follower, other = follower_of(two, replica), Lease(elsewhere(two), "other/1")
    elsewhere(two).activate(two.second, two.first, "another replica")
    other.take()
    await follower.look()
    assert (two.phases, skew(two)) == ([], 1)
    other.give_up()
    await follower.look()
    assert ((await two.ask())[0], skew(two)) == (two.second, 0)


async def test_a_checkpoint_that_fails_here_is_tried_again_each_time_after_twice_the_wait(
    two: TwoCheckpoints, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []
    clock = ManualClock()

    async def failing(pair: Pair) -> Router:
        tries.append(clock.now)
        raise EngineFailed(f"no memory for {pair.checkpoint}")

    follower = follower_of(two, two.replica(two.activator_on(failing)), clock)
    elsewhere(two).activate(two.second, two.first, "another replica")
    for now in range(0, 300, 10):
        clock.now = now
        await follower.look()
    assert tries == [0, 20, 60, 140]
    assert "no memory" in caplog.text
    assert ((await two.ask())[0], skew(two)) == (two.first, 1)


async def test_a_registry_that_vanishes_stops_nothing(two: TwoCheckpoints, replica: Replica, tmp_path: Path) -> None:
    root_of(two.registry).rename(tmp_path / "gone")
    await follower_of(two, replica).look()
    reads = two.metrics.answers.registry.get_sample_value("route_feedback_registry_reads_total", {"outcome": "failed"})
    assert ((await two.ask())[0], reads) == (two.first, 1)


async def test_a_trial_ends_when_another_becomes_active_which_is_then_followed(
    two: TwoCheckpoints, tmp_path: Path
) -> None:
    third = (await proven(unpublished(tmp_path / "3", 3), two.settings)).version
    two.registry.add(tmp_path / "3", bundled_taxonomy(), "test")
    replica = two.replica()
    follower = follower_of(two, replica)

    trying = asyncio.create_task(replica.try_out(TrialRequest(two.second, "ada", TrialPlan("canary", 0.5))))
    await until(lambda: two.active.split is not None)
    elsewhere(two).activate(third, two.first, "another replica")
    await follower.look()
    await asyncio.wait([trying])
    await follower.look()
    assert (await two.ask())[0] == third
    (evidence,) = read_evidence(two.registry)
    assert (evidence.decision, evidence.decided_by) == ("stopped", "follower")
    assert third in evidence.reason


async def test_what_was_read_before_this_replica_changed_it_is_not_followed(two: TwoCheckpoints) -> None:
    """Else a replica that has just activated a checkpoint would go back to the one before."""
    replica = two.replica()
    journal = two.registry

    folder = str(journal.folder(two.second))

    class Slow(Registry):
        def read(self) -> RegistryState:
            before = super().read()
            journal.activate(two.second, two.first, "this replica")
            two.active.shift(two.router(pair_of(folder, bundled_taxonomy(), two.settings.cache)))
            return before

    two.activator.registry = Slow(journal.store)
    await follower_of(two, replica).look()
    assert (await two.ask())[0] == two.second
    assert two.phases == []


async def test_a_checkpoint_that_is_active_no_more_is_not_followed(two: TwoCheckpoints, replica: Replica) -> None:
    with pytest.raises(ActivationRefused, match=f"{two.first} became active meanwhile"):
        await replica.activate(ActivationRequest(two.second, "test", follows=True))
    assert (await two.ask())[0] == two.first
