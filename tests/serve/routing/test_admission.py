"""The queue in front of the engine: bounded, fair between keys, honest about deadlines."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from serve.routing.admission import Admission
from taxonomy.errors import Overloaded, TooManyRequests

pytestmark = pytest.mark.timeout(30)
served: list[str] = []


@pytest.fixture(autouse=True)
def nobody_is_served_yet() -> None:
    served.clear()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def work(admission: Admission, key: str, gate: asyncio.Event | None = None) -> None:
    async with admission.turn(key):
        served.append(key)
        if gate:
            await gate.wait()
        await asyncio.sleep(0)


async def test_no_more_than_allowed_hold_a_turn() -> None:
    admission, busy, most = Admission(3, 100), 0, 0

    async def one() -> None:
        nonlocal busy, most
        async with admission.turn("a"):
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1

    await asyncio.gather(*(one() for _ in range(50)))
    assert (most, admission.waiting, admission._free) == (3, 0, 3)


async def test_keys_take_turns_however_much_one_sends() -> None:
    admission = Admission(1, 100)
    await asyncio.gather(*(work(admission, key) for key in ["greedy"] * 10 + ["modest"] * 2))
    assert served.index("modest") <= 3
    assert [i for i, key in enumerate(served) if key == "modest"][1] <= 5


async def test_a_full_queue_refuses_and_says_when_to_try_again() -> None:
    admission, gate = Admission(1, 2), asyncio.Event()
    running = [asyncio.create_task(work(admission, "a", gate)) for _ in range(3)]
    await settle()
    with pytest.raises(Overloaded, match="2 comments are waiting") as refused:
        await work(admission, "a")
    assert refused.value.retry_after >= 1
    assert not isinstance(refused.value, TooManyRequests)
    gate.set()
    await asyncio.gather(*running)
    assert len(served) == 3


async def test_the_greediest_makes_room_for_another_key() -> None:
    admission, gate = Admission(1, 3), asyncio.Event()
    greedy = [asyncio.create_task(work(admission, "greedy", gate)) for _ in range(4)]
    await settle()
    modest = asyncio.create_task(work(admission, "modest"))
    await settle()
    gate.set()
    results = await asyncio.gather(*greedy, modest, return_exceptions=True)
    assert [isinstance(r, TooManyRequests) for r in results] == [False, False, False, True, False]


async def test_whoever_gives_up_waiting_leaves_no_trace() -> None:
    admission, gate = Admission(1, 10), asyncio.Event()
    holder = asyncio.create_task(work(admission, "a", gate))
    await settle()
    waiting = [asyncio.create_task(work(admission, "b")) for _ in range(5)]
    await settle()
    for task in waiting[:4]:
        task.cancel()
    await settle()
    assert admission.waiting == 1
    gate.set()
    await asyncio.gather(holder, waiting[4])
    assert (served, admission._free, admission.waiting) == (["a", "b"], 1, 0)


async def test_a_turn_that_comes_as_its_waiter_gives_up_is_passed_on() -> None:
    admission = Admission(1, 10)
    async with AsyncExitStack() as holding:
        await holding.enter_async_context(admission.turn("a"))
        first, second = (asyncio.create_task(work(admission, key)) for key in "bc")
        await settle()
    first.cancel()  # its turn has just been given to it, and it has not run since
    await asyncio.gather(first, second, return_exceptions=True)
    assert (served, admission._free) == (["c"], 1)


async def test_who_would_wait_past_the_deadline_is_refused_at_once() -> None:
    now = 0.0
    admission = Admission(1, 100, clock=lambda: now)
    async with admission.turn("a"):
        now += 2.0
    assert admission.wait_s == 0
    async with admission.turn("a"):
        assert admission.wait_s == 2.0
        with pytest.raises(Overloaded, match="would take about 4000 ms"):
            async with admission.turn("b", seconds=3.9):
                served.append("never")
        patient = asyncio.create_task(admission.turn("b", seconds=4.1).__aenter__())
        await settle()
        assert admission.waiting == 1
        patient.cancel()
    assert served == []


async def test_a_failure_frees_the_turn() -> None:
    admission = Admission(1, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with admission.turn("a"):
                raise ZeroDivisionError
    assert (admission._free, admission._mean_s) == (1, 0)
