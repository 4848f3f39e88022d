"""Weights that change in the engine that serves: requests wait, and whatever fails leaves the old ones, proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from serve.activation.activation import Activation, ActivationRequest
from serve.activation.phases import Phase
from serve.engine.model import Model
from serve.routing.loading import pair_of
from serve.routing.router import Router
from serve.start import limits_of
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import (
    ActivationFailed,
    ActivationRefused,
    DeadlinePassed,
    EngineFailed,
    FingerprintDiffers,
    Overloaded,
    RegistryFailed,
)
from taxonomy.labels import CheckpointId
from taxonomy.tree import Taxonomy, taxonomy_of
from tests.support.checkpoints import WEIGHTS, choosing, proven, root_of, router_on, unpublished
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints, WeighedEngine

HOPEFUL = [
    *(Phase.RESOLVING, Phase.CHECKING, Phase.PAUSING, Phase.LOADING, Phase.WARMING),
    *(Phase.VERIFYING, Phase.SHIFTING, Phase.DRAINING, Phase.RETIRING, Phase.IDLE),
]


@pytest.fixture
def in_place(two: TwoCheckpoints) -> TwoCheckpoints:
    """A service with memory for one engine."""
    two.activator = two.activator_on(None)
    return two


def engine(two: TwoCheckpoints) -> WeighedEngine:
    return two.engines[two.first]


async def activated(two: TwoCheckpoints, checkpoint: CheckpointId | None = None) -> Activation:
    return await two.activator.activate(ActivationRequest(checkpoint or two.second, "test"))


async def serves_the_restored_pair_and_says(two: TwoCheckpoints, reason: str, *reloads: CheckpointId) -> None:
    await two.serves_the_old_pair_and_says(reason)
    assert engine(two).reloads == [*reloads]
    assert root_of(two.registry).exists() is False or two.registry.read().active == two.first


async def test_the_one_engine_takes_the_new_weights(in_place: TwoCheckpoints) -> None:
    report = await activated(in_place)
    assert in_place.phases == HOPEFUL
    assert (report.outcome, in_place.registry.read().active) == ("active", in_place.second)
    assert (list(in_place.engines), engine(in_place).reloads) == ([in_place.first], [in_place.second])
    assert not engine(in_place).closed
    assert (await in_place.ask())[0] == in_place.second
    await in_place.activator.activate(ActivationRequest(None, "test"))
    assert (engine(in_place).reloads, in_place.registry.read().active) == (
        [in_place.second, in_place.first],
        in_place.first,
    )


async def test_under_load_no_request_fails_and_each_is_answered_by_the_pair_that_it_names(
    in_place: TwoCheckpoints,
) -> None:
    async def clients() -> list[tuple[CheckpointId, object]]:
        answers: list[tuple[CheckpointId, object]] = []
        over = asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                answers.append(await in_place.ask())

        asking = [asyncio.create_task(client()) for _ in range(16)]
        for turn in range(6):
            await activated(in_place, in_place.first if turn % 2 else in_place.second)
        over.set()
        await asyncio.gather(*asking)
        return answers

    answers = await clients()
    fresh = {}
    for name in (in_place.first, in_place.second):
        pair = pair_of(str(in_place.registry.folder(name)), bundled_taxonomy(), in_place.settings.cache)
        fresh[name] = await router_on(pair, in_place.settings).route(COMMENT)
    assert fresh[in_place.first] != fresh[in_place.second]
    assert {name for name, _ in answers} == {in_place.first, in_place.second}
    assert [(name, answer) for name, answer in answers if answer != fresh[name]] == []


async def test_nothing_loads_before_the_requests_under_way_have_their_answers(in_place: TwoCheckpoints) -> None:
    async def crossing() -> list[CheckpointId]:
        engine(in_place).go_on.clear()
        before = asyncio.create_task(in_place.ask())
        await asyncio.sleep(0)
        activating = asyncio.create_task(activated(in_place))
        while in_place.activator.phase is not Phase.PAUSING:  # noqa: ASYNC110 (what is polled is what the API shows)
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(in_place.ask())
        await asyncio.sleep(0.01)
        assert engine(in_place).reloads == []
        engine(in_place).go_on.set()
        await activating
        return [(await before)[0], (await waiting)[0]]

    assert await crossing() == [in_place.first, in_place.second]


async def test_requests_that_do_not_end_in_time_break_it_off_and_nothing_was_touched(in_place: TwoCheckpoints) -> None:
    in_place.activator = in_place.activator_on(None, pausing=0.05)

    async def stuck() -> None:
        engine(in_place).go_on.clear()
        before = asyncio.create_task(in_place.ask())
        await asyncio.sleep(0)
        with pytest.raises(ActivationFailed, match="pausing took longer"):
            await activated(in_place)
        engine(in_place).go_on.set()
        await before

    await stuck()
    await serves_the_restored_pair_and_says(in_place, "pausing took longer")


def keeps_stale(two: TwoCheckpoints) -> None:
    """A reload that reports success and changes nothing, as with weights that are packed elsewhere."""
    reload = engine(two).reload

    async def stale(model: Model) -> None:
        await reload(model)
        engine(two)._choose = choosing(two.registry.folder(two.first) / WEIGHTS)

    engine(two).reload = stale  # type: ignore[method-assign]


def cuts_the_file(two: TwoCheckpoints) -> None:
    reload = engine(two).reload

    async def cut(model: Model) -> None:
        if model.checkpoint == two.second:
            weights = Path(model.path) / WEIGHTS
            weights.write_bytes(weights.read_bytes()[:-1])
        await reload(model)

    engine(two).reload = cut  # type: ignore[method-assign]


def loses_the_journal(two: TwoCheckpoints) -> None:
    reload = engine(two).reload

    async def lost(model: Model) -> None:
        await reload(model)
        newest = max((root_of(two.registry) / "journal").iterdir())
        (newest / "entry.json").write_text("{}")

    engine(two).reload = lost  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (keeps_stale, FingerprintDiffers, "probe 1 of 8: decision"),
        (cuts_the_file, EngineFailed, "cannot load"),
    ],
)
async def test_what_fails_is_refused_and_the_old_weights_are_restored_and_verified(
    in_place: TwoCheckpoints, fault: Callable[[TwoCheckpoints], None], error: type[Exception], reason: str
) -> None:
    fault(in_place)
    decoded = engine(in_place).decoded
    with pytest.raises(error, match=reason):
        await activated(in_place)
    assert engine(in_place).decoded >= decoded + 8  # the probes of the old one's fingerprint
    await serves_the_restored_pair_and_says(in_place, reason, in_place.second, in_place.first)


async def test_a_journal_that_cannot_be_written_leaves_the_old_weights_restored(in_place: TwoCheckpoints) -> None:
    loses_the_journal(in_place)
    with pytest.raises(RegistryFailed, match="damaged"):
        await activated(in_place)
    assert engine(in_place).reloads == [in_place.second, in_place.first]
    assert (await in_place.ask())[0] == in_place.first


async def test_an_engine_that_cannot_be_restored_is_closed_and_says_so(in_place: TwoCheckpoints) -> None:
    reload = engine(in_place).reload

    async def dying(model: Model) -> None:
        if model.checkpoint == in_place.first:
            raise EngineFailed("the engine core is dead")
        await reload(model)
        engine(in_place)._choose = choosing(in_place.registry.folder(in_place.first) / WEIGHTS)

    engine(in_place).reload = dying  # type: ignore[method-assign]
    with pytest.raises(FingerprintDiffers):
        await activated(in_place)
    assert in_place.activator.activation
    assert in_place.activator.phase is Phase.IDLE
    assert (
        "could not be restored (the engine core is dead); its engine is closed" in in_place.activator.activation.reason
    )
    assert not in_place.active.router.is_alive  # on which the service ends, and starts anew
    with pytest.raises(EngineFailed):
        await in_place.ask()


async def test_without_a_fingerprint_of_what_serves_nothing_is_begun(in_place: TwoCheckpoints, tmp_path: Path) -> None:
    folder = unpublished(tmp_path / "other", 5)
    await proven(folder, in_place.settings)
    pair = pair_of(str(folder), bundled_taxonomy(), in_place.settings.cache)
    in_place.active.router = Router(pair, engine(in_place), limits_of(in_place.settings), 32_768)
    with pytest.raises(ActivationRefused, match="nothing could prove the way back"):
        await activated(in_place)
    assert engine(in_place).reloads == []


def other_config(folder: Path) -> Taxonomy:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"rope_theta": 10000.0', '"rope_theta": 10001.0'))
    return bundled_taxonomy()


def other_taxonomy(_: Path) -> Taxonomy:
    return taxonomy_of(bundled_taxonomy().leaves[1:], bundled_taxonomy().notes)


@pytest.mark.parametrize(
    ("change", "reason"), [(other_config, "another config.json"), (other_taxonomy, "another taxonomy or tokenizer")]
)
async def test_another_architecture_or_taxonomy_is_not_loaded_in_place(
    in_place: TwoCheckpoints, tmp_path: Path, change: Callable[[Path], Taxonomy], reason: str
) -> None:
    folder = unpublished(tmp_path / "3", 3)
    taxonomy = change(folder)
    third = (await proven(folder, in_place.settings, taxonomy=taxonomy)).version
    in_place.registry.add(folder, taxonomy, "test")
    with pytest.raises(ActivationRefused, match=reason):
        await activated(in_place, third)
    await serves_the_restored_pair_and_says(in_place, reason)


async def test_a_pause_has_a_bound_and_keeps_deadlines(in_place: TwoCheckpoints) -> None:
    async def paused() -> None:
        await in_place.active.paused()
        with pytest.raises(DeadlinePassed, match="20 ms"):
            await in_place.active.passed(0.02)
        in_place.active.router.admission.limit = 1
        first = asyncio.create_task(in_place.active.passed(5))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="1 comments wait"):
            await in_place.active.passed()
        in_place.active.resume()
        left = await first
        assert left
        assert 0 < left < 5
        assert await in_place.active.passed(5) == 5

    await paused()
