"""What every engine keeps: the scripted one and the real vLLM, held to the same."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import torch
from transformers import AutoModelForCausalLM

from serve.engine.protocol import MOST_ALTERNATIVES, Alternative, Decoded, Engine, ScriptedEngine, Task
from serve.routing.answer import Answer, answer_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from taxonomy.errors import EngineFailed
from tests.conftest import Live

T = TypeVar("T")
COMMENTS = [
    "The night picture is blurry, and the parcel came late.",
    "Die App stürzt ständig ab! 😡 Sonst alles gut.",
    "ok",
    'He wrote "no refund" \\ and left.\nTwice!',
]


class Bench:
    """An engine with the loop that it lives on."""

    def __init__(self, engine: Engine, router: Router, live: Live | None) -> None:
        self.engine, self.router, self._live = engine, router, live

    async def decode(self, *tasks: Task) -> list[Decoded]:
        async def all_at_once() -> list[Decoded]:
            return await asyncio.gather(*map(self.engine.decode, tasks))

        return await self._at_home(all_at_once())

    async def cancel_midway(self, task: Task) -> None:
        async def cancelled() -> None:
            running = asyncio.create_task(self.engine.decode(task))
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        await self._at_home(cancelled())

    async def _at_home(self, work: Coroutine[Any, Any, T]) -> T:
        """On the engine's loop."""
        if self._live is None:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._live.loop))


@pytest.fixture(params=["scripted", "vllm"])
def bench(request: pytest.FixtureRequest, scripted_router: Router) -> Bench:
    if request.param == "scripted":
        return Bench(scripted_router._engine, scripted_router, None)
    live: Live = request.getfixturevalue("live")
    assert live.router
    return Bench(live.engine, live.router, live)


async def test_an_answer_is_in_the_language_with_a_logprob_a_decision(bench: Bench, pair: Pair) -> None:
    tasks = [*map(bench.router.task, COMMENTS)]
    for task, decoded in zip(tasks, await bench.decode(*tasks), strict=True):
        answer = answer_of(task, decoded, pair)
        assert "".join(text for _, text in spans(answer)) == "".join(task.chunks)
        assert all(logprob <= 0 for logprob in decoded.logprobs)


def spans(answer: Answer) -> list[tuple[int, str]]:
    return sorted(
        [*((s.start, s.part.content) for s in answer.segments), *((r.start, r.content) for r in answer.residue)]
    )


async def test_decoding_is_greedy_alone_or_among_others(bench: Bench) -> None:
    tasks = [bench.router.task(comment) for comment in COMMENTS]
    together = await bench.decode(*tasks)
    alone = [(await bench.decode(replace(task, request_id=task.request_id + "-again")))[0] for task in tasks]
    assert [d.tokens for d in together] == [d.tokens for d in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


async def test_of_each_decision_the_alternatives_are_told(bench: Bench, pair: Pair) -> None:
    """Allowed, not taken, the likeliest first, and all that there is where they are not too many."""
    tasks = [*map(bench.router.task, COMMENTS)]
    for task, decoded in zip(tasks, await bench.decode(*tasks), strict=True):
        walk = pair.automaton.walk(task.chunk_tokens)
        assert decoded.alternatives
        for token, logprob, others in zip(decoded.tokens, decoded.logprobs, decoded.alternatives, strict=True):
            named = [other.token for other in others]
            logprobs = [other.logprob for other in others]
            assert {*named} <= {*walk.allowed} - {token}
            assert len({*named}) == len(named) <= MOST_ALTERNATIVES
            assert logprobs == sorted(logprobs, reverse=True)
            assert sum(map(math.exp, [logprob, *logprobs])) <= 1 + 1e-3
            if len(walk.allowed) <= MOST_ALTERNATIVES + 1:
                assert sum(map(math.exp, [logprob, *logprobs])) == pytest.approx(1, abs=1e-3)
            walk.decide(token)


async def test_a_cancelled_task_leaves_the_engine_working(bench: Bench, pair: Pair) -> None:
    await bench.cancel_midway(bench.router.task(COMMENTS[0]))
    task = bench.router.task(COMMENTS[1])
    (decoded,) = await bench.decode(task)
    assert answer_of(task, decoded, pair)


async def test_each_logprob_is_the_choice_among_the_allowed_tokens(live: Live, pair: Pair) -> None:
    """What vLLM says, step by step, is what the weights say of the whole answer at once."""
    assert live.router
    dtype = live.router.engine_kind.rpartition("/")[2]
    model = AutoModelForCausalLM.from_pretrained(pair.model.path, dtype=getattr(torch, dtype))
    # Both round to 16 bits where the CPU has bfloat16 instructions, each in its own order: 7e-3 was seen.
    allowed_difference = {"float32": 1e-3, "bfloat16": 2e-2}[dtype]
    for comment in COMMENTS:
        task = live.router.task(comment)
        (decoded,) = await Bench(live.engine, live.router, live).decode(task)
        walk = pair.automaton.walk(task.chunk_tokens)
        tokens = [*task.prompt, *walk.forced]
        at, allowed = [], []
        for token in decoded.tokens:
            at.append(len(tokens) - 1)
            allowed.append(list(walk.allowed))
            tokens += [token, *walk.decide(token)]
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, at].double()
        assert decoded.alternatives
        said = zip(decoded.tokens, decoded.logprobs, decoded.alternatives, strict=True)
        for (token, logprob, others), options, row in zip(said, allowed, logits, strict=True):
            expected = dict(zip(options, torch.log_softmax(row[options], 0).tolist(), strict=True))
            assert max(expected, key=expected.__getitem__) == token
            assert logprob == pytest.approx(expected[token], abs=allowed_difference)
            assert len(others) == min(len(options) - 1, MOST_ALTERNATIVES)
            for other in others:  # by their probabilities: the less likely, the more a logarithm shows of rounding
                assert math.exp(other.logprob) == pytest.approx(math.exp(expected[other.token]), abs=allowed_difference)


async def test_a_task_that_the_engine_refuses_is_an_engine_failure(live: Live, pair: Pair) -> None:
    assert live.router
    task = live.router.task(COMMENTS[0])
    too_long = replace(task, prompt=task.prompt * 10_000)
    with pytest.raises(EngineFailed, match="failed on this comment"):
        await Bench(live.engine, live.router, live).decode(too_long)
    (decoded,) = await Bench(live.engine, live.router, live).decode(task)
    assert answer_of(task, decoded, pair)


def test_a_decoded_answer_pairs_tokens_with_logprobs() -> None:
    with pytest.raises(ValueError, match="2 tokens with 1 log-probabilities"):
        Decoded((1, 2), (0.0,))
    with pytest.raises(ValueError, match="2 tokens with alternatives of 1"):
        Decoded((1, 2), (0.0, 0.0), alternatives=((Alternative(3, -1.0),),))


async def test_a_scripted_engine_may_be_closed_twice_and_still_answers(scripted_router: Router, pair: Pair) -> None:
    engine: Engine = ScriptedEngine(pair.automaton, lambda allowed: (allowed[-1], -0.1))
    await engine.close()
    await engine.close()
    task = scripted_router.task(COMMENTS[0])
    last, first = await engine.decode(task), await scripted_router._engine.decode(task)
    assert answer_of(task, last, pair) != answer_of(task, first, pair)
