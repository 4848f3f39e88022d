"""Weights that change in the engine that serves: requests wait, and whatever fails leaves the old ones, proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from serve.activation.activation import ActivationRequest, Report
from serve.activation.phases import Phase
from serve.routing.pair import Pair, pair_of
from serve.routing.router import Router
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
from tests.support.two_checkpoints import COMMENT, Engine, House

HOPEFUL = [
    *(Phase.RESOLVING, Phase.CHECKING, Phase.PAUSING, Phase.LOADING, Phase.WARMING),
    *(Phase.VERIFYING, Phase.SHIFTING, Phase.DRAINING, Phase.RETIRING, Phase.IDLE),
]


@pytest.fixture
def one(house: House) -> House:
    """A house with memory for one engine."""
    house.swap = house.swapping(None)
    return house


def engine(house: House) -> Engine:
    return house.engines[house.one]


async def activated(house: House, checkpoint: CheckpointId | None = None) -> Report:
    return await house.swap.activate(ActivationRequest(checkpoint or house.two, "test"))


def serves_the_restored_pair_and_says(house: House, reason: str, *reloads: CheckpointId) -> None:
    house.serves_the_old_pair_and_says(reason)
    assert engine(house).reloads == [*reloads]
    assert root_of(house.registry).exists() is False or house.registry.read().active == house.one


def test_the_one_engine_takes_the_new_weights(one: House) -> None:
    report = asyncio.run(activated(one))
    assert one.phases == HOPEFUL
    assert (report.outcome, one.registry.read().active) == ("active", one.two)
    assert (list(one.engines), engine(one).reloads) == ([one.one], [one.two])
    assert not engine(one).closed
    assert asyncio.run(one.ask())[0] == one.two
    asyncio.run(one.swap.activate(ActivationRequest(None, "test")))
    assert (engine(one).reloads, one.registry.read().active) == ([one.two, one.one], one.one)


def test_under_load_no_request_fails_and_each_is_answered_by_the_pair_that_it_names(one: House) -> None:
    async def clients() -> list[tuple[CheckpointId, object]]:
        answers: list[tuple[CheckpointId, object]] = []
        over = asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                answers.append(await one.ask())

        asking = [asyncio.create_task(client()) for _ in range(16)]
        for turn in range(6):
            await activated(one, one.one if turn % 2 else one.two)
        over.set()
        await asyncio.gather(*asking)
        return answers

    answers = asyncio.run(clients())
    fresh = {}
    for name in (one.one, one.two):
        pair = pair_of(str(one.registry.folder(name)), bundled_taxonomy(), one.settings.cache)
        fresh[name] = asyncio.run(router_on(pair, one.settings).route(COMMENT))
    assert fresh[one.one] != fresh[one.two]
    assert {name for name, _ in answers} == {one.one, one.two}
    assert [(name, answer) for name, answer in answers if answer != fresh[name]] == []


def test_nothing_loads_before_the_requests_under_way_have_their_answers(one: House) -> None:
    async def crossing() -> list[CheckpointId]:
        engine(one).go_on.clear()
        before = asyncio.create_task(one.ask())
        await asyncio.sleep(0)
        swapping = asyncio.create_task(activated(one))
        while one.swap.phase is not Phase.PAUSING:  # noqa: ASYNC110 (what is polled is what the API shows)
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(one.ask())
        await asyncio.sleep(0.01)
        assert engine(one).reloads == []
        engine(one).go_on.set()
        await swapping
        return [(await before)[0], (await waiting)[0]]

    assert asyncio.run(crossing()) == [one.one, one.two]


def test_requests_that_do_not_end_in_time_break_it_off_and_nothing_was_touched(one: House) -> None:
    one.swap = one.swapping(None, pausing=0.05)

    async def stuck() -> None:
        engine(one).go_on.clear()
        before = asyncio.create_task(one.ask())
        await asyncio.sleep(0)
        with pytest.raises(ActivationFailed, match="pausing took longer"):
            await activated(one)
        engine(one).go_on.set()
        await before

    asyncio.run(stuck())
    serves_the_restored_pair_and_says(one, "pausing took longer")


def keeps_stale(house: House) -> None:
    """A reload that reports success and changes nothing, as with weights that are packed elsewhere."""
    reload = engine(house).reload

    async def stale(pair: Pair) -> None:
        await reload(pair)
        engine(house)._choose = choosing(house.registry.folder(house.one) / WEIGHTS)

    engine(house).reload = stale  # type: ignore[method-assign]


def cuts_the_file(house: House) -> None:
    reload = engine(house).reload

    async def cut(pair: Pair) -> None:
        if pair.checkpoint == house.two:
            weights = Path(pair.model) / WEIGHTS
            weights.write_bytes(weights.read_bytes()[:-1])
        await reload(pair)

    engine(house).reload = cut  # type: ignore[method-assign]


def loses_the_journal(house: House) -> None:
    reload = engine(house).reload

    async def lost(pair: Pair) -> None:
        await reload(pair)
        newest = max((root_of(house.registry) / "journal").iterdir())
        (newest / "entry.json").write_text("{}")

    engine(house).reload = lost  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (keeps_stale, FingerprintDiffers, "probe 1 of 8: decision"),
        (cuts_the_file, EngineFailed, "cannot load"),
    ],
)
def test_what_fails_is_refused_and_the_old_weights_are_restored_and_verified(
    one: House, fault: Callable[[House], None], error: type[Exception], reason: str
) -> None:
    fault(one)
    decoded = engine(one).decoded
    with pytest.raises(error, match=reason):
        asyncio.run(activated(one))
    assert engine(one).decoded >= decoded + 8  # the probes of the old one's fingerprint
    serves_the_restored_pair_and_says(one, reason, one.two, one.one)


def test_a_journal_that_cannot_be_written_leaves_the_old_weights_restored(one: House) -> None:
    loses_the_journal(one)
    with pytest.raises(RegistryFailed, match="damaged"):
        asyncio.run(activated(one))
    assert engine(one).reloads == [one.two, one.one]
    assert asyncio.run(one.ask())[0] == one.one


def test_an_engine_that_cannot_be_restored_is_closed_and_says_so(one: House) -> None:
    reload = engine(one).reload

    async def dying(pair: Pair) -> None:
        if pair.checkpoint == one.one:
            raise EngineFailed("the engine core is dead")
        await reload(pair)
        engine(one)._choose = choosing(one.registry.folder(one.one) / WEIGHTS)

    engine(one).reload = dying  # type: ignore[method-assign]
    with pytest.raises(FingerprintDiffers):
        asyncio.run(activated(one))
    assert one.swap.report
    assert one.swap.phase is Phase.IDLE
    assert "could not be restored (the engine core is dead); its engine is closed" in one.swap.report.reason
    assert not one.active.router.is_alive  # on which the service ends, and starts anew
    with pytest.raises(EngineFailed):
        asyncio.run(one.ask())


def test_without_a_fingerprint_of_what_serves_nothing_is_begun(one: House, tmp_path: Path) -> None:
    folder = unpublished(tmp_path / "other", 5)
    asyncio.run(proven(folder, one.settings))
    pair = pair_of(str(folder), bundled_taxonomy(), one.settings.cache)
    one.active.router = Router(pair, engine(one), one.settings, 32_768)
    with pytest.raises(ActivationRefused, match="nothing could prove the way back"):
        asyncio.run(activated(one))
    assert engine(one).reloads == []


def other_config(folder: Path) -> Taxonomy:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"rope_theta": 10000.0', '"rope_theta": 10001.0'))
    return bundled_taxonomy()


def other_taxonomy(_: Path) -> Taxonomy:
    return taxonomy_of(bundled_taxonomy().leaves[1:], bundled_taxonomy().notes)


@pytest.mark.parametrize(
    ("change", "reason"), [(other_config, "another config.json"), (other_taxonomy, "another taxonomy or tokenizer")]
)
def test_another_architecture_or_taxonomy_is_not_loaded_in_place(
    one: House, tmp_path: Path, change: Callable[[Path], Taxonomy], reason: str
) -> None:
    folder = unpublished(tmp_path / "3", 3)
    taxonomy = change(folder)
    third = asyncio.run(proven(folder, one.settings, taxonomy=taxonomy)).version
    one.registry.add(folder, taxonomy, "test")
    with pytest.raises(ActivationRefused, match=reason):
        asyncio.run(activated(one, third))
    serves_the_restored_pair_and_says(one, reason)


def test_a_pause_has_a_bound_and_keeps_deadlines(one: House) -> None:
    async def paused() -> None:
        await one.active.paused()
        with pytest.raises(DeadlinePassed, match="20 ms"):
            await one.active.passed(0.02)
        one.active.router.admission.limit = 1
        first = asyncio.create_task(one.active.passed(5))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="1 comments wait"):
            await one.active.passed()
        one.active.resume()
        left = await first
        assert left
        assert 0 < left < 5
        assert await one.active.passed(5) == 5

    asyncio.run(paused())
