"""Activation: whatever happens, each request is answered by one pair, and a verified one serves at the end."""

from __future__ import annotations

import asyncio
import resource
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from serve.activation.activation import ActivationRequest, Report
from serve.activation.phases import LIMITS_S, NEXT, Phase, followed
from serve.engine.protocol import Decoded, Task
from serve.registry.versions import State
from serve.routing.pair import Pair, pair_of
from serve.routing.router import Router
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import (
    ActivationFailed,
    ActivationRefused,
    CheckpointInvalid,
    CheckpointUnknown,
    EngineFailed,
    FingerprintDiffers,
    RegistryFailed,
    RouteFeedbackError,
)
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import WEIGHTS, choosing, proven, root_of, router_on, unpublished
from tests.support.two_checkpoints import COMMENT, House

HOPEFUL = [Phase.RESOLVING, Phase.CHECKING, Phase.LOADING, Phase.WARMING, Phase.VERIFYING, Phase.SHIFTING]


def wish(checkpoint: CheckpointId | None, without_gate: str | None = None) -> ActivationRequest:
    return ActivationRequest(checkpoint, "test", without_gate)


def activated(house: House, checkpoint: CheckpointId | None = None) -> Report:
    return asyncio.run(house.swap.activate(wish(checkpoint or house.two)))


def fails(house: House, error: type[RouteFeedbackError], match: str, load: Any = None, **limits_s: float) -> None:
    if load or limits_s:
        house.swap = house.swapping(load or house.load, **limits_s)
    with pytest.raises(error, match=match):
        activated(house)
    assert root_of(house.registry).exists() is False or house.registry.read().active == house.one


def test_a_version_goes_all_the_way_and_retires_the_other(house: House) -> None:
    report = activated(house)
    assert house.phases == [*HOPEFUL, Phase.DRAINING, Phase.RETIRING, Phase.IDLE]
    assert (report.outcome, report.checkpoint, report.before) == ("active", house.two, house.one)
    assert list(report.seconds) == [*HOPEFUL, Phase.DRAINING]
    assert house.engines[house.one].closed
    assert not house.engines[house.two].closed
    assert house.registry.read().get(house.one).state is State.RETIRED
    assert asyncio.run(house.ask())[0] == house.two


def test_a_rollback_takes_the_same_way_back(house: House) -> None:
    activated(house)
    house.phases.clear()
    report = asyncio.run(house.swap.activate(wish(None)))
    assert house.phases[:6] == HOPEFUL
    assert (report.checkpoint, house.registry.read().active) == (house.one, house.one)
    with pytest.raises(ActivationRefused, match="nothing to roll back to"):
        asyncio.run(house.swap.activate(wish(None)))


def test_the_table_has_every_phase_and_every_phase_a_limit() -> None:
    assert NEXT.keys() == set(Phase)
    assert LIMITS_S.keys() == set(Phase) - {Phase.IDLE}
    assert all(Phase.RETURNING in NEXT[phase] for phase in HOPEFUL)
    for old, new in pairwise([Phase.IDLE, *HOPEFUL, Phase.DRAINING, Phase.RETIRING, Phase.IDLE]):
        assert new in NEXT[old]


@pytest.mark.parametrize(("old", "new"), list(product(Phase, Phase)))
def test_no_arrow_is_gone_that_the_table_does_not_have(old: Phase, new: Phase) -> None:
    if new in NEXT[old]:
        assert followed(old, new) is new
    else:
        with pytest.raises(ValueError, match=f"{old} is not followed by {new}"):
            followed(old, new)


def test_under_load_no_request_fails_and_each_is_answered_by_the_pair_that_it_names(house: House) -> None:
    """Sixteen clients through ten swaps to and fro; fresh engines say what each pair's answer is."""

    async def clients() -> list[tuple[CheckpointId, object]]:
        answers: list[tuple[CheckpointId, object]] = []
        over = asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                answers.append(await house.ask())

        asking = [asyncio.create_task(client()) for _ in range(16)]
        for turn in range(10):
            await house.swap.activate(wish(house.one if turn % 2 else house.two))
        over.set()
        await asyncio.gather(*asking)
        return answers

    answers = asyncio.run(clients())
    fresh = {}
    for name in (house.one, house.two):
        pair = pair_of(str(house.registry.folder(name)), bundled_taxonomy(), house.settings.cache)
        fresh[name] = asyncio.run(router_on(pair, house.settings).route(COMMENT))
    assert fresh[house.one] != fresh[house.two]
    assert {name for name, _ in answers} == {house.one, house.two}
    assert [(name, answer) for name, answer in answers if answer != fresh[name]] == []


def test_a_request_in_flight_ends_on_its_own_pair_before_that_is_closed(house: House) -> None:
    async def crossing() -> tuple[CheckpointId, object]:
        old = house.engines[house.one]
        old.go_on.clear()
        before = asyncio.create_task(house.ask())
        await asyncio.sleep(0)
        swapping = asyncio.create_task(house.swap.activate(wish(house.two)))
        while house.swap.phase is not Phase.DRAINING:  # noqa: ASYNC110 (what is polled is what the API shows)
            await asyncio.sleep(0.01)
        assert (await house.ask())[0] == house.two
        assert not old.closed
        old.go_on.set()
        await swapping
        assert old.closed
        return await before

    assert asyncio.run(crossing())[0] == house.one


def test_what_does_not_drain_in_time_is_cut_off_and_the_new_pair_stays(house: House) -> None:
    house.swap = house.swapping(house.load, draining=0.05)

    async def stuck() -> Report:
        house.engines[house.one].go_on.clear()
        request = asyncio.create_task(house.ask())
        await asyncio.sleep(0)
        report = await house.swap.activate(wish(house.two))
        request.cancel()
        return report

    assert asyncio.run(stuck()).outcome == "active"
    assert house.engines[house.one].closed
    assert house.active.router.pair.checkpoint == house.two


def test_an_old_engine_that_was_killed_does_not_hold_up_the_new_one(house: House) -> None:
    async def killed() -> None:
        raise EngineFailed("the engine core is dead")

    house.engines[house.one].close = killed  # type: ignore[method-assign]
    assert activated(house).outcome == "active"
    assert asyncio.run(house.ask())[0] == house.two


def test_a_second_activation_meanwhile_is_refused_and_does_not_disturb_the_first(house: House) -> None:
    async def two_at_once() -> Report:
        first = asyncio.create_task(house.swap.activate(wish(house.two)))
        await asyncio.sleep(0)
        with pytest.raises(ActivationRefused, match=f"{house.two} is being activated"):
            await house.swap.activate(wish(house.one))
        return await first

    assert asyncio.run(two_at_once()).outcome == "active"


def test_what_is_active_already_is_not_activated_again(house: House) -> None:
    with pytest.raises(ActivationRefused, match="active already"):
        activated(house, house.one)


def test_an_unknown_version_is_refused(house: House) -> None:
    with pytest.raises(CheckpointUnknown):
        activated(house, CheckpointId("ck_none"))
    house.serves_the_old_pair_and_says("has no checkpoint ck_none")


def test_without_the_gates_record_it_is_refused_unless_an_admin_takes_it_on_by_name(
    house: House, tmp_path: Path
) -> None:
    third = asyncio.run(proven(unpublished(tmp_path / "3", 3), house.settings, gate=None)).version
    house.registry.add(tmp_path / "3", bundled_taxonomy(), "test")
    with pytest.raises(ActivationRefused, match="has no gate record"):
        activated(house, third)
    house.serves_the_old_pair_and_says("has no gate record")
    assert house.phases == [Phase.RESOLVING, Phase.CHECKING, Phase.RETURNING, Phase.IDLE]
    assert asyncio.run(house.swap.activate(wish(third, without_gate="Ada"))).outcome == "active"
    assert house.registry.journal()[-1].without_gate == "Ada"


def test_truncated_weights_are_seen_before_anything_is_loaded(house: House) -> None:
    weights = house.registry.folder(house.two) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    fails(house, CheckpointInvalid, "model.safetensors is altered")
    house.serves_the_old_pair_and_says("is altered")
    assert house.two not in house.engines


def test_weights_truncated_after_the_check_fail_the_loading(house: House) -> None:
    async def cut(pair: Pair) -> Router:
        weights = Path(pair.model) / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1])
        return await house.load(pair)

    fails(house, EngineFailed, "cannot load", cut)
    house.serves_the_old_pair_and_says("cannot load")


def test_an_engine_with_stale_weights_never_takes_traffic(house: House) -> None:
    """It reports success and serves what it served before."""
    stale = choosing(house.registry.folder(house.one) / WEIGHTS)

    async def reloaded(pair: Pair) -> Router:
        return house.router(pair, stale)

    fails(house, FingerprintDiffers, "probe 1 of 8: decision", reloaded)
    house.serves_the_old_pair_and_says("probe 1 of 8: decision")
    assert house.engines[house.two].closed


def test_an_engine_that_fails_when_it_is_warmed_is_closed(house: House) -> None:
    async def broken(pair: Pair) -> Router:
        router = house.router(pair)

        async def decode(task: Task) -> Decoded:
            raise EngineFailed(f"it cannot decode {len(task.chunks)} chunks")

        house.engines[pair.checkpoint].decode = decode  # type: ignore[method-assign]
        return router

    fails(house, EngineFailed, "it cannot decode", broken)
    house.serves_the_old_pair_and_says("it cannot decode")
    assert house.engines[house.two].closed


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.WARMING, Phase.VERIFYING])
def test_a_phase_that_takes_too_long_is_given_up(house: House, phase: Phase) -> None:
    async def slow(pair: Pair) -> Router:
        if phase is Phase.LOADING:
            await asyncio.Event().wait()
        router = house.router(pair)
        engine = house.engines[pair.checkpoint]
        answers, sleep = engine.decode, asyncio.Event()

        async def decode(task: Task) -> Decoded:
            if engine.decoded >= (phase is Phase.VERIFYING):
                await sleep.wait()
            return await answers(task)

        engine.decode = decode  # type: ignore[method-assign]
        return router

    fails(house, ActivationFailed, f"{phase} took longer than 0.05 s", slow, **{phase: 0.05})
    house.serves_the_old_pair_and_says("took longer")
    assert phase is Phase.LOADING or house.engines[house.two].closed


def test_a_registry_that_vanishes_before_is_named(house: House, tmp_path: Path) -> None:
    root_of(house.registry).rename(tmp_path / "gone")
    fails(house, RegistryFailed, "No such file")
    house.serves_the_old_pair_and_says("No such file")


def test_a_registry_that_vanishes_while_the_engine_loads_leaves_the_old_pair(house: House, tmp_path: Path) -> None:
    """The engine is loaded and verified, but which version is active cannot be written down."""

    async def vanishing(pair: Pair) -> Router:
        router = await house.load(pair)
        root_of(house.registry).rename(tmp_path / "gone")
        return router

    fails(house, RegistryFailed, "No such file", vanishing)
    house.serves_the_old_pair_and_says("No such file")
    assert house.swap.report
    assert house.swap.report.broke_off is Phase.SHIFTING
    assert house.engines[house.two].closed


def test_a_disk_that_is_full_when_the_shift_is_written_leaves_the_old_pair(house: House) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def filling(pair: Pair) -> Router:
        router = await house.load(pair)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        return router

    try:
        fails(house, RegistryFailed, "File too large", filling)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    house.serves_the_old_pair_and_says("File too large")
    assert not list(root_of(house.registry).rglob(".*"))


def test_another_replica_that_was_faster_is_not_overruled(house: House, tmp_path: Path) -> None:
    third = asyncio.run(proven(unpublished(tmp_path / "3", 3), house.settings)).version
    house.registry.add(tmp_path / "3", bundled_taxonomy(), "test")

    async def overtaken(pair: Pair) -> Router:
        house.registry.activate(third, house.one, "another replica")
        return await house.load(pair)

    house.swap = house.swapping(overtaken)
    with pytest.raises(ActivationRefused, match=f"{third} became active meanwhile"):
        activated(house)
    house.serves_the_old_pair_and_says("became active meanwhile")


def test_a_service_that_stops_takes_down_what_it_began(house: House) -> None:
    async def stopped() -> None:
        loaded = asyncio.Event()

        async def load(pair: Pair) -> Router:
            router = await house.load(pair)
            house.engines[pair.checkpoint].go_on.clear()
            loaded.set()
            return router

        house.swap = house.swapping(load)
        task = asyncio.create_task(house.swap.activate(wish(house.two)))
        await loaded.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())
    house.serves_the_old_pair_and_says("the service stops")
    assert house.engines[house.two].closed
