"""One replica at a time: the lease, its holder's death, and a holder that was only slow."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from serve.registry.lease import Lease
from serve.registry.object_store import store_at
from serve.registry.registry import Registry
from serve.registry.store import Directory, Store
from taxonomy.errors import LeaseHeld, RegistryFailed
from tests.support.clocks import ManualClock
from tests.support.two_checkpoints import until

RACE = """
import sys, time
from serve.registry.lease import Lease
from pathlib import Path
from serve.registry.object_store import store_at
from serve.registry.registry import Registry
from taxonomy.errors import LeaseHeld
lease, won = Lease(Registry(store_at(sys.argv[1], Path("/none"))), sys.argv[2]), 0
for turn in range(40):
    try:
        lease.take()
    except LeaseHeld:
        continue
    with open(sys.argv[3], "a") as log:
        log.write(f"+{sys.argv[2]}\\n")
        log.flush()
        time.sleep(0.002)
        log.write(f"-{sys.argv[2]}\\n")
    lease.give_up()
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    return tmp_path / "registry"


@pytest.fixture
def store(place: str, tmp_path: Path) -> Store:
    """Of a registry that is there, in a directory or behind a URL."""
    store = store_at(place, tmp_path / "cache")
    store.begin()
    return store


def lease_of(store: Store, holder: str, clock: ManualClock, seconds: float = 30) -> Lease:
    return Lease(Registry(store), holder, seconds, clock)


def test_who_holds_it_is_named_and_no_other_gets_it(store: Store, clock: ManualClock) -> None:
    one, two = lease_of(store, "one", clock), lease_of(store, "two", clock)
    assert two.look() is None
    one.take()
    assert two.look() == "one"
    with pytest.raises(LeaseHeld, match="one is loading a checkpoint"):
        two.take()
    one.give_up()
    assert two.look() is None
    two.take()
    assert one.look() == "two"


def test_a_holder_cannot_take_it_twice(store: Store, clock: ManualClock) -> None:
    one = lease_of(store, "one", clock)
    one.take()
    with pytest.raises(LeaseHeld):
        one.take()


def test_a_dead_holder_is_followed_when_it_was_silent_for_the_whole_time(store: Store, clock: ManualClock) -> None:
    lease_of(store, "dead", clock).take()
    two = lease_of(store, "two", clock)
    assert two.look() == "dead"
    clock.now = 30
    assert two.look() == "dead"
    clock.now = 30.1
    two.take()
    assert two.look() == "two"


def test_who_comes_late_waits_the_whole_time_too_whatever_other_clocks_say(store: Store, clock: ManualClock) -> None:
    lease_of(store, "dead", clock).take()
    clock.now = 1e6
    with pytest.raises(LeaseHeld):
        lease_of(store, "late", clock).take()


def test_a_holder_that_is_heard_of_keeps_it(store: Store, clock: ManualClock) -> None:
    one, two = lease_of(store, "one", clock), lease_of(store, "two", clock)
    one.take()
    for _ in range(10):
        assert two.look() == "one"
        clock.now += 20
        assert one.renew()
    assert two.look() == "one"


def test_a_slow_holder_finds_that_another_has_it_and_does_not_disturb_it(store: Store, clock: ManualClock) -> None:
    slow, two = lease_of(store, "slow", clock), lease_of(store, "two", clock)
    slow.take()
    two.look()
    clock.now = 31
    two.take()
    assert not slow.renew()
    slow.give_up()
    assert slow.look() == "two"
    assert two.renew()


def test_a_restarted_process_of_the_same_name_is_not_its_predecessor(root: Path, clock: ManualClock) -> None:
    lease_of(Directory(root), "pod-0/1", clock).take()
    with pytest.raises(LeaseHeld):
        lease_of(Directory(root), "pod-0/1", clock).take()


def test_a_registry_that_is_gone_is_named_and_not_made_anew(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(RegistryFailed, match="No such file"):
        lease_of(Directory(tmp_path / "gone"), "one", clock).take()
    assert not (tmp_path / "gone").exists()


async def test_it_is_given_up_however_the_work_ends(root: Path, clock: ManualClock) -> None:
    one = lease_of(Directory(root), "one", clock)

    async def failing() -> None:
        async with one.held():
            assert one.look() == "one"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert one.look() is None


async def test_it_beats_while_it_is_held_and_says_when_it_was_taken(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(Directory(root))

    def usurp() -> None:
        (root / "leases" / ".2").mkdir()
        (root / "leases" / ".2" / "lease.json").write_text('{"number": 2, "holder": "two"}')
        (root / "leases" / ".2").rename(root / "leases" / "00000002")

    with caplog.at_level(logging.ERROR):
        async with Lease(registry, "one", seconds=0.03).held():
            await until(lambda: json.loads((root / "leases" / "00000001" / "lease.json").read_text())["beat"] >= 3)
            await asyncio.to_thread(usurp)
            await until(lambda: "was taken" in caplog.text)
    assert "was taken by another replica" in caplog.text
    assert Lease(registry, "three").look() == "two"


def test_of_many_processes_only_one_holds_it_at_any_moment(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [
        subprocess.Popen([sys.executable, "-c", RACE, str(store), str(n), log], cwd=Path.cwd()) for n in range(4)
    ]
    assert [process.wait(120) for process in processes] == [0] * 4
    lines = log.read_text().split()
    assert len(lines) >= 8
    for first, last in zip(lines[::2], lines[1::2], strict=True):
        assert (first[0], last) == ("+", f"-{first[1:]}")
