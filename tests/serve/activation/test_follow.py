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
from serve.registry.versions import Versions
from serve.routing.pair import Pair, pair_of
from serve.routing.router import Router
from serve.trials.evidence import kept
from serve.trials.trial import Plan
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import ActivationRefused, EngineFailed
from tests.support.checkpoints import proven, root_of, unpublished
from tests.support.two_checkpoints import House, until


class Clock:
    """Monotonic seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def replica(house: House) -> Replica:
    return house.replica()


def follower_of(replica: Replica, clock: Clock | None = None) -> Follower:
    return Follower(replica, 10, clock or Clock())


def elsewhere(house: House) -> Registry:
    """The same registry, as another process has it."""
    return Registry(root_of(house.registry))


def skew(house: House) -> float | None:
    return house.active.metrics.registry.get_sample_value("route_feedback_version_skew")


def test_where_nothing_has_changed_nothing_is_done(house: House, replica: Replica) -> None:
    asyncio.run(follower_of(replica).look())
    assert house.phases == []
    assert skew(house) == 0


def test_what_became_active_elsewhere_is_verified_and_serves_here(house: House, replica: Replica) -> None:
    elsewhere(house).activate(house.two, house.one, "another replica")
    journal = len(house.registry.journal())
    asyncio.run(follower_of(replica).look())
    assert asyncio.run(house.ask())[0] == house.two
    assert house.engines[house.one].closed
    assert len(house.registry.journal()) == journal, "following changes nothing in the registry"
    assert skew(house) == 0


def test_a_rollback_elsewhere_is_followed_too(house: House, replica: Replica) -> None:
    follower = follower_of(replica)
    elsewhere(house).activate(house.two, house.one, "another replica")
    asyncio.run(follower.look())
    elsewhere(house).roll_back(house.one, house.two, "another replica")
    asyncio.run(follower.look())
    assert asyncio.run(house.ask())[0] == house.one


def test_while_another_replica_loads_it_waits_and_the_skew_is_seen(house: House, replica: Replica) -> None:
    follower, other = follower_of(replica), Lease(elsewhere(house), "other/1")
    elsewhere(house).activate(house.two, house.one, "another replica")
    other.take()
    asyncio.run(follower.look())
    assert (house.phases, skew(house)) == ([], 1)
    other.give_up()
    asyncio.run(follower.look())
    assert (asyncio.run(house.ask())[0], skew(house)) == (house.two, 0)


def test_a_version_that_fails_here_is_tried_again_each_time_after_twice_the_wait(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []
    clock = Clock()

    async def failing(pair: Pair) -> Router:
        tries.append(clock.now)
        raise EngineFailed(f"no memory for {pair.checkpoint}")

    follower = follower_of(house.replica(house.swapping(failing)), clock)
    elsewhere(house).activate(house.two, house.one, "another replica")
    for now in range(0, 300, 10):
        clock.now = now
        asyncio.run(follower.look())
    assert tries == [0, 20, 60, 140]
    assert "no memory" in caplog.text
    assert (asyncio.run(house.ask())[0], skew(house)) == (house.one, 1)


def test_a_registry_that_vanishes_stops_nothing(house: House, replica: Replica, tmp_path: Path) -> None:
    root_of(house.registry).rename(tmp_path / "gone")
    asyncio.run(follower_of(replica).look())
    reads = house.active.metrics.registry.get_sample_value("route_feedback_registry_reads_total", {"outcome": "failed"})
    assert (asyncio.run(house.ask())[0], reads) == (house.one, 1)


def test_a_trial_ends_when_another_becomes_active_which_is_then_followed(house: House, tmp_path: Path) -> None:
    third = asyncio.run(proven(unpublished(tmp_path / "3", 3), house.settings)).version
    house.registry.add(tmp_path / "3", bundled_taxonomy(), "test")
    replica = house.replica()
    follower = follower_of(replica)

    async def test() -> None:
        trying = asyncio.create_task(replica.try_out(ActivationRequest(house.two, "ada"), Plan("canary", 0.5)))
        await until(lambda: house.active.split is not None)
        elsewhere(house).activate(third, house.one, "another replica")
        await follower.look()
        await asyncio.wait([trying])
        await follower.look()
        assert (await house.ask())[0] == third

    asyncio.run(test())
    (evidence,) = kept(house.registry)
    assert (evidence.decision, evidence.decided_by) == ("stopped", "follower")
    assert third in evidence.reason


def test_what_was_read_before_this_replica_changed_it_is_not_followed(house: House) -> None:
    """Else a replica that has just activated a version would go back to the one before."""
    replica = house.replica()
    journal = house.registry

    folder = str(journal.folder(house.two))

    class Slow(Registry):
        def read(self) -> Versions:
            before = super().read()
            journal.activate(house.two, house.one, "this replica")
            house.active.shift(house.router(pair_of(folder, bundled_taxonomy(), house.settings.cache)))
            return before

    house.swap.registry = Slow(root_of(journal))
    asyncio.run(follower_of(replica).look())
    assert asyncio.run(house.ask())[0] == house.two
    assert house.phases == []


def test_a_version_that_is_active_no_more_is_not_followed(house: House, replica: Replica) -> None:
    with pytest.raises(ActivationRefused, match=f"{house.one} became active meanwhile"):
        asyncio.run(replica.activate(ActivationRequest(house.two, "test", follows=True)))
    assert asyncio.run(house.ask())[0] == house.one
