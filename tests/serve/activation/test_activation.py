"""Activation: whatever happens, each request is answered by one pair, and a verified one serves at the end."""

from __future__ import annotations

import asyncio
import resource
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from serve.activation.activation import Activation, ActivationRequest
from serve.activation.phases import LIMITS_S, NEXT, Phase, followed
from serve.engine.protocol import Decoded, Task
from serve.registry.state import CheckpointState
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
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
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints

HOPEFUL = [Phase.RESOLVING, Phase.CHECKING, Phase.LOADING, Phase.WARMING, Phase.VERIFYING, Phase.SHIFTING]


def requested(checkpoint: CheckpointId | None, without_gate: str | None = None) -> ActivationRequest:
    return ActivationRequest(checkpoint, "test", without_gate)


async def activated(two: TwoCheckpoints, checkpoint: CheckpointId | None = None) -> Activation:
    return await two.activator.activate(requested(checkpoint or two.second))


async def fails(
    two: TwoCheckpoints, error: type[RouteFeedbackError], match: str, load: Any = None, **limits_s: float
) -> None:
    if load or limits_s:
        two.activator = two.activator_on(load or two.load, **limits_s)
    with pytest.raises(error, match=match):
        await activated(two)
    assert root_of(two.registry).exists() is False or two.registry.read().active == two.first


async def test_a_checkpoint_goes_all_the_way_and_retires_the_other(two: TwoCheckpoints) -> None:
    report = await activated(two)
    assert two.phases == [*HOPEFUL, Phase.DRAINING, Phase.RETIRING, Phase.IDLE]
    assert (report.outcome, report.checkpoint, report.before) == ("active", two.second, two.first)
    assert list(report.seconds) == [*HOPEFUL, Phase.DRAINING]
    assert two.engines[two.first].closed
    assert not two.engines[two.second].closed
    assert two.registry.read().get(two.first).state is CheckpointState.RETIRED
    assert (await two.ask())[0] == two.second


async def test_a_rollback_takes_the_same_way_back(two: TwoCheckpoints) -> None:
    await activated(two)
    two.phases.clear()
    report = await two.activator.activate(requested(None))
    assert two.phases[:6] == HOPEFUL
    assert (report.checkpoint, two.registry.read().active) == (two.first, two.first)
    with pytest.raises(ActivationRefused, match="nothing to roll back to"):
        await two.activator.activate(requested(None))


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


async def test_under_load_no_request_fails_and_each_is_answered_by_the_pair_that_it_names(two: TwoCheckpoints) -> None:
    """Sixteen clients through ten activations to and fro; fresh engines say what each pair's answer is."""

    async def clients() -> list[tuple[CheckpointId, object]]:
        answers: list[tuple[CheckpointId, object]] = []
        over = asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                answers.append(await two.ask())

        asking = [asyncio.create_task(client()) for _ in range(16)]
        for turn in range(10):
            await two.activator.activate(requested(two.first if turn % 2 else two.second))
        over.set()
        await asyncio.gather(*asking)
        return answers

    answers = await clients()
    fresh = {}
    for name in (two.first, two.second):
        pair = pair_of(str(two.registry.folder(name)), bundled_taxonomy(), two.settings.cache)
        fresh[name] = await router_on(pair, two.settings).route(COMMENT)
    assert fresh[two.first] != fresh[two.second]
    assert {name for name, _ in answers} == {two.first, two.second}
    assert [(name, answer) for name, answer in answers if answer != fresh[name]] == []


async def test_a_request_in_flight_ends_on_its_own_pair_before_that_is_closed(two: TwoCheckpoints) -> None:
    async def crossing() -> tuple[CheckpointId, object]:
        old = two.engines[two.first]
        old.go_on.clear()
        before = asyncio.create_task(two.ask())
        await asyncio.sleep(0)
        activating = asyncio.create_task(two.activator.activate(requested(two.second)))
        while two.activator.phase is not Phase.DRAINING:  # noqa: ASYNC110 (what is polled is what the API shows)
            await asyncio.sleep(0.01)
        assert (await two.ask())[0] == two.second
        assert not old.closed
        old.go_on.set()
        await activating
        assert old.closed
        return await before

    assert (await crossing())[0] == two.first


async def test_what_does_not_drain_in_time_is_cut_off_and_the_new_pair_stays(two: TwoCheckpoints) -> None:
    two.activator = two.activator_on(two.load, draining=0.05)

    async def stuck() -> Activation:
        two.engines[two.first].go_on.clear()
        request = asyncio.create_task(two.ask())
        await asyncio.sleep(0)
        report = await two.activator.activate(requested(two.second))
        request.cancel()
        return report

    assert (await stuck()).outcome == "active"
    assert two.engines[two.first].closed
    assert two.active.router.pair.checkpoint == two.second


async def test_an_old_engine_that_was_killed_does_not_hold_up_the_new_one(two: TwoCheckpoints) -> None:
    async def killed() -> None:
        raise EngineFailed("the engine core is dead")

    two.engines[two.first].close = killed  # type: ignore[method-assign]
    assert (await activated(two)).outcome == "active"
    assert (await two.ask())[0] == two.second


async def test_a_second_activation_meanwhile_is_refused_and_does_not_disturb_the_first(two: TwoCheckpoints) -> None:
    async def two_at_once() -> Activation:
        first = asyncio.create_task(two.activator.activate(requested(two.second)))
        await asyncio.sleep(0)
        with pytest.raises(ActivationRefused, match=f"{two.second} is being activated"):
            await two.activator.activate(requested(two.first))
        return await first

    assert (await two_at_once()).outcome == "active"


async def test_what_is_active_already_is_not_activated_again(two: TwoCheckpoints) -> None:
    with pytest.raises(ActivationRefused, match="active already"):
        await activated(two, two.first)


async def test_an_unknown_checkpoint_is_refused(two: TwoCheckpoints) -> None:
    with pytest.raises(CheckpointUnknown):
        await activated(two, CheckpointId("ck_none"))
    await two.serves_the_old_pair_and_says("has no checkpoint ck_none")


async def test_without_the_gates_record_it_is_refused_unless_an_admin_takes_it_on_by_name(
    two: TwoCheckpoints, tmp_path: Path
) -> None:
    third = (await proven(unpublished(tmp_path / "3", 3), two.settings, gate=None)).version
    two.registry.add(tmp_path / "3", bundled_taxonomy(), "test")
    with pytest.raises(ActivationRefused, match="has no gate record"):
        await activated(two, third)
    await two.serves_the_old_pair_and_says("has no gate record")
    assert two.phases == [Phase.RESOLVING, Phase.CHECKING, Phase.RETURNING, Phase.IDLE]
    assert (await two.activator.activate(requested(third, without_gate="Ada"))).outcome == "active"
    assert two.registry.journal()[-1].without_gate == "Ada"


async def test_truncated_weights_are_seen_before_anything_is_loaded(two: TwoCheckpoints) -> None:
    weights = two.registry.folder(two.second) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    await fails(two, CheckpointInvalid, "model.safetensors is altered")
    await two.serves_the_old_pair_and_says("is altered")
    assert two.second not in two.engines


async def test_weights_truncated_after_the_check_fail_the_loading(two: TwoCheckpoints) -> None:
    async def cut(pair: Pair) -> Router:
        weights = Path(pair.model.path) / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1])
        return await two.load(pair)

    await fails(two, EngineFailed, "cannot load", cut)
    await two.serves_the_old_pair_and_says("cannot load")


async def test_an_engine_with_stale_weights_never_takes_traffic(two: TwoCheckpoints) -> None:
    """It reports success and serves what it served before."""
    stale = choosing(two.registry.folder(two.first) / WEIGHTS)

    async def reloaded(pair: Pair) -> Router:
        return two.router(pair, stale)

    await fails(two, FingerprintDiffers, "probe 1 of 8: decision", reloaded)
    await two.serves_the_old_pair_and_says("probe 1 of 8: decision")
    assert two.engines[two.second].closed


async def test_an_engine_that_fails_when_it_is_warmed_is_closed(two: TwoCheckpoints) -> None:
    async def broken(pair: Pair) -> Router:
        router = two.router(pair)

        async def decode(task: Task) -> Decoded:
            raise EngineFailed(f"it cannot decode {len(task.chunks)} chunks")

        two.engines[pair.checkpoint].decode = decode  # type: ignore[method-assign]
        return router

    await fails(two, EngineFailed, "it cannot decode", broken)
    await two.serves_the_old_pair_and_says("it cannot decode")
    assert two.engines[two.second].closed


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.WARMING, Phase.VERIFYING])
async def test_a_phase_that_takes_too_long_is_given_up(two: TwoCheckpoints, phase: Phase) -> None:
    async def slow(pair: Pair) -> Router:
        if phase is Phase.LOADING:
            await asyncio.Event().wait()
        router = two.router(pair)
        engine = two.engines[pair.checkpoint]
        answers, sleep = engine.decode, asyncio.Event()

        async def decode(task: Task) -> Decoded:
            if engine.decoded >= (phase is Phase.VERIFYING):
                await sleep.wait()
            return await answers(task)

        engine.decode = decode  # type: ignore[method-assign]
        return router

    await fails(two, ActivationFailed, f"{phase} took longer than 0.05 s", slow, **{phase: 0.05})
    await two.serves_the_old_pair_and_says("took longer")
    assert phase is Phase.LOADING or two.engines[two.second].closed


async def test_a_registry_that_vanishes_before_is_named(two: TwoCheckpoints, tmp_path: Path) -> None:
    root_of(two.registry).rename(tmp_path / "gone")
    await fails(two, RegistryFailed, "No such file")
    await two.serves_the_old_pair_and_says("No such file")


async def test_a_registry_that_vanishes_while_the_engine_loads_leaves_the_old_pair(
    two: TwoCheckpoints, tmp_path: Path
) -> None:
    """The engine is loaded and verified, but which checkpoint is active cannot be written down."""

    async def vanishing(pair: Pair) -> Router:
        router = await two.load(pair)
        root_of(two.registry).rename(tmp_path / "gone")
        return router

    await fails(two, RegistryFailed, "No such file", vanishing)
    await two.serves_the_old_pair_and_says("No such file")
    assert two.activator.activation
    assert two.activator.activation.broke_off is Phase.SHIFTING
    assert two.engines[two.second].closed


async def test_a_disk_that_is_full_when_the_shift_is_written_leaves_the_old_pair(two: TwoCheckpoints) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def filling(pair: Pair) -> Router:
        router = await two.load(pair)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        return router

    try:
        await fails(two, RegistryFailed, "File too large", filling)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await two.serves_the_old_pair_and_says("File too large")
    assert not list(root_of(two.registry).rglob(".*"))


async def test_another_replica_that_was_faster_is_not_overruled(two: TwoCheckpoints, tmp_path: Path) -> None:
    third = (await proven(unpublished(tmp_path / "3", 3), two.settings)).version
    two.registry.add(tmp_path / "3", bundled_taxonomy(), "test")

    async def overtaken(pair: Pair) -> Router:
        two.registry.activate(third, two.first, "another replica")
        return await two.load(pair)

    two.activator = two.activator_on(overtaken)
    with pytest.raises(ActivationRefused, match=f"{third} became active meanwhile"):
        await activated(two)
    await two.serves_the_old_pair_and_says("became active meanwhile")


async def test_a_service_that_stops_takes_down_what_it_began(two: TwoCheckpoints) -> None:
    async def stopped() -> None:
        loaded = asyncio.Event()

        async def load(pair: Pair) -> Router:
            router = await two.load(pair)
            two.engines[pair.checkpoint].go_on.clear()
            loaded.set()
            return router

        two.activator = two.activator_on(load)
        task = asyncio.create_task(two.activator.activate(requested(two.second)))
        await loaded.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await stopped()
    await two.serves_the_old_pair_and_says("the service stops")
    assert two.engines[two.second].closed
