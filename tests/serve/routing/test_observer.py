"""What a router reports of its work, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from serve.engine.protocol import Decoded, ScriptedEngine, Task
from serve.routing.active import Active
from serve.routing.admission import Admission
from serve.routing.answer import Answer
from serve.routing.limits import RouteLimits
from serve.routing.observer import UNOBSERVED, Stage
from serve.routing.pair import Pair
from serve.routing.router import Router
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId

TEXT = "It came late. The app crashes."
LIMITS = RouteLimits(max_comment=100, max_chunks=8, at_once=1, waiting=1)


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def serving(self, pair: Pair, admission: Admission) -> None:
        self.lines.append(f"serving {pair.checkpoint}, {admission.limit} may wait")

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        self.lines.append(name)
        yield
        self.lines.append(f"end of {name}")

    @contextmanager
    def compiling(self) -> Iterator[None]:
        self.lines.append("compiling")
        yield

    def masked(self, seconds: float) -> None:
        self.lines.append(f"masked {seconds:g} s")

    def answered(self, checkpoint: CheckpointId, answer: Answer) -> None:
        self.lines.append(f"answered by {checkpoint} in {len(answer.segments)} segments")


class Timed(ScriptedEngine):
    """Says how long its constraint took."""

    async def decode(self, task: Task) -> Decoded:
        return replace(await super().decode(task), masking_s=0.5)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def router(pair: Pair, notes: Notes) -> Router:
    return Router(pair, Timed(pair.automaton, lambda allowed: (allowed[-1], -0.1)), LIMITS, 32_768, notes)


async def test_each_stage_of_an_answer_is_reported_in_its_order(router: Router, notes: Notes) -> None:
    answer = await router.route(TEXT)
    stages = ["queue", "end of queue", "prepare", "compiling", "end of prepare", "decode", "end of decode"]
    ends = ["read", "end of read", "masked 0.5 s"]
    said = f"answered by {router.pair.checkpoint} in {len(answer.segments)} segments"
    assert notes.lines == [*stages, *ends, said]


async def test_an_answer_that_nobody_gets_is_not_reported(router: Router, notes: Notes) -> None:
    await router.aside(TEXT)
    await router.under(None).route(TEXT)
    assert notes.lines == ["compiling"]


async def test_what_fails_is_left_unanswered(router: Router, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(_: Task) -> Decoded:
        raise EngineFailed("the engine is dead")

    monkeypatch.setattr(router._engine, "decode", dead)
    with pytest.raises(EngineFailed):
        await router.route(TEXT)
    assert notes.lines[-1] == "decode"


def test_who_serves_is_reported_at_the_start_and_when_it_changes(router: Router, notes: Notes, pair: Pair) -> None:
    active = Active(router, notes)
    other = replace(pair, model=replace(pair.model, checkpoint=CheckpointId("ck_other")))
    active.shift(Router(other, router._engine, LIMITS, 32_768))
    assert notes.lines == [f"serving {pair.checkpoint}, 1 may wait", "serving ck_other, 1 may wait"]


async def test_a_router_without_an_observer_answers_alike(router: Router, pair: Pair) -> None:
    unobserved = Router(pair, router._engine, LIMITS, 32_768, UNOBSERVED)
    assert await unobserved.route(TEXT) == await router.route(TEXT)
