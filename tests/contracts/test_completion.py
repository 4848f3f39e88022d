"""What every completer keeps: the scripted one, and vLLM on the engine that the session's tests share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from serve.engine.completion import Completer, Completion, CompletionTask, ScriptedCompleter, Written
from serve.engine.vllm.completer import VllmCompleter
from serve.routing.pair import Pair
from taxonomy.errors import EngineFailed
from taxonomy.language.prompt import ChatPrompt
from tests.conftest import Live

T = TypeVar("T")
LENGTH = 12
WORDS = ["late ", "blurry ", "picture ", "the ", "of ", "night ", "and ", "came "]


def babble(task: CompletionTask) -> Iterator[Written]:
    """Words without end, by the seed and the prompt; the same ones where nothing is left to chance."""
    rng = random.Random(f"{task.seed if task.temperature else 0}/{task.prompt}")
    while True:
        at = rng.randrange(len(WORDS))
        yield Written(at, WORDS[at])


class Bench:
    """A completer with the loop that it lives on, and what it may be asked."""

    def __init__(self, completer: Completer, live: Live | None, task: CompletionTask, vocabulary: int) -> None:
        self.completer, self._live, self.task, self.vocabulary = completer, live, task, vocabulary

    async def complete(self, *tasks: CompletionTask) -> list[Completion]:
        async def all_at_once() -> list[Completion]:
            return await asyncio.gather(*map(self.completer.complete, tasks))

        return await self._at_home(all_at_once())

    async def cancel_midway(self, task: CompletionTask) -> None:
        async def cancelled() -> None:
            running = asyncio.create_task(self.completer.complete(task))
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        await self._at_home(cancelled())

    async def _at_home(self, work: Coroutine[Any, Any, T]) -> T:
        if self._live is None:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._live.loop))


@pytest.fixture(params=["scripted", "vllm"])
def bench(request: pytest.FixtureRequest, pair: Pair) -> Bench:
    prompt = tuple(ChatPrompt(pair.tokens.tokenizer, pair.tokens).of("late?"))
    task = CompletionTask(prompt, LENGTH, temperature=1.5, top_p=1.0, seed=1, ends=frozenset())
    if request.param == "scripted":
        return Bench(ScriptedCompleter(babble, 4096), None, task, len(WORDS))
    live: Live = request.getfixturevalue("live")
    assert live.router
    return Bench(VllmCompleter(live.engine._llm), live, task, pair.tokens.size)  # type: ignore[attr-defined]


async def test_a_seed_decides_what_is_written_alone_or_among_others(bench: Bench) -> None:
    tasks = [replace(bench.task, seed=seed) for seed in range(5)]
    together = await bench.complete(*tasks)
    alone = [(await bench.complete(task))[0] for task in tasks]
    assert together == alone
    assert len({completion.text for completion in together}) > 1


async def test_nothing_is_left_to_chance_at_temperature_0(bench: Bench) -> None:
    tasks = [replace(bench.task, seed=seed, temperature=0.0) for seed in range(3)]
    assert len({*await bench.complete(*tasks)}) == 1


async def test_what_does_not_end_is_cut_off(bench: Bench) -> None:
    one, longer = await bench.complete(bench.task, replace(bench.task, max_tokens=LENGTH + 8))
    assert one.ended_by is longer.ended_by is None
    assert longer.text.startswith(one.text[:-2])
    assert len(longer.text) > len(one.text)


async def test_a_token_ends_it_and_is_not_in_the_text(bench: Bench) -> None:
    anything = frozenset(range(bench.vocabulary))
    (completion,) = await bench.complete(replace(bench.task, ends=anything))
    assert completion.text == ""
    assert completion.ended_by in anything


async def test_a_text_ends_it_and_is_not_in_the_text(bench: Bench) -> None:
    (whole,) = await bench.complete(bench.task)
    end = whole.text[4:7]
    (completion,) = await bench.complete(replace(bench.task, end_texts=("never in it", end)))
    assert completion == Completion(whole.text[: whole.text.index(end)], end)


async def test_a_prompt_without_room_is_an_engine_failure_and_harms_nobody(bench: Bench) -> None:
    with pytest.raises(EngineFailed, match="the context holds"):
        await bench.complete(replace(bench.task, max_tokens=bench.completer.context))
    with pytest.raises(EngineFailed, match="a prompt of 0 tokens"):
        await bench.complete(replace(bench.task, prompt=()))
    await bench.cancel_midway(bench.task)
    assert (await bench.complete(bench.task))[0].text
