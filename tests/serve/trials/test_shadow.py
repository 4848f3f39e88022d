"""A candidate that gets copies: nobody is answered by it, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from serve.engine.protocol import Decoded, Task
from serve.trials.agreement import differing, spans_of
from serve.trials.policy import TrialPolicy, TrialRules
from serve.trials.shadow import AT_ONCE
from serve.trials.trial import TrialPlan
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.errors import EngineFailed, TrialEnded
from tests.support.trials import IDS, answered, evidence_of, on_trial, sample, settled
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints

pytestmark = pytest.mark.usefixtures("judged_often")


async def test_a_shadow_answers_nobody_and_is_compared_with_what_was_answered(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("shadow", 1.0)) as (replica, _):
        began = two.engines[two.second].decoded
        pair, answer = await answered(two, "review-1")
        assert pair == two.first
        await settled(two, began + 1)
        await asyncio.sleep(0.01)
        copy = await two.routers[two.second].aside(COMMENT)
        expected = differing(spans_of(answer), spans_of(copy), len(COMMENT))
        assert replica.trial
        (stage,) = replica.trial.stages
        assert stage.disagreement == {level: count / len(COMMENT) for level, count in expected.items()}
        assert stage.disagreement["L1"] > 0
        for arm, made in ((stage.active, answer), (stage.candidate, copy)):
            assert sum(arm.teams.values()) == pytest.approx(1)
            mean = sum(s.confidence["L1"] for s in made.segments) / len(made.segments)
            assert arm.confidence["L1"] == pytest.approx(mean)
        ours, theirs = ([s.leaf.team for s in made.segments] for made in (answer, copy))
        apart = (abs(ours.count(x) / len(ours) - theirs.count(x) / len(theirs)) for x in {*ours, *theirs})
        assert stage.team_shift == pytest.approx(sum(apart) / 2)
        assert sample(two, "shadow_copies_total", outcome="compared") == 1
        counted = [sample(two, "shadow_characters_total", level="L4", labels=x) for x in ("same", "different")]
        assert counted == [len(COMMENT) - expected["L4"], expected["L4"]]


async def test_a_shadow_that_hangs_holds_up_nobody_and_more_copies_are_dropped(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("shadow", 1.0)) as (replica, task):
        two.engines[two.second].go_on.clear()
        for name in IDS:
            assert (await answered(two, name))[0] == two.first
        assert replica.trial
        assert replica.trial.stages[0].dropped == len(IDS) - AT_ONCE
        assert sample(two, "shadow_copies_total", outcome="dropped") == len(IDS) - AT_ONCE
        replica.stop(two.second, "bob")
        with pytest.raises(TrialEnded):
            await task
        assert two.engines[two.second].closed


async def test_copies_are_dropped_while_customers_wait(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("shadow", 1.0)) as (replica, _):
        waiting = deque(asyncio.get_running_loop().create_future() for _ in range(2))
        two.active.router.admission._queues["another key"] = waiting
        await answered(two, "review-1")
        assert replica.trial
        assert replica.trial.stages[0].dropped == 1


async def test_a_shadow_that_fails_is_counted_and_no_customer_feels_it(two: TwoCheckpoints) -> None:
    async def broken(task: Task) -> Decoded:
        raise EngineFailed(f"out of memory for {len(task.chunks)} chunks")

    rules = TrialRules(TrialPolicy(requests=2, errors=0.5, rolls_back=False))

    async with on_trial(two, TrialPlan("shadow", 1.0), rules) as (replica, _):
        two.engines[two.second].decode = broken  # type: ignore[method-assign]
        for name in IDS[:2]:
            assert (await answered(two, name))[0] == two.first
            await asyncio.sleep(0.01)
        assert replica.trial
        assert replica.trial.stages[0].candidate.errors == 2
        assert {f.check: f.verdict for f in replica.trial.findings}["errors"] is Verdict.REJECT
        assert sample(two, "shadow_copies_total", outcome="failed") == 2


async def test_a_shadow_becomes_a_canary_on_the_same_engine_and_both_stages_are_kept(two: TwoCheckpoints) -> None:
    async with on_trial(two, TrialPlan("shadow", 1.0)) as (replica, task):
        began = two.engines[two.second].decoded
        await answered(two, "review-1")
        await settled(two, began + 1)
        assert replica.trial
        replica.trial.change(TrialPlan("canary", 1.0))
        assert (await answered(two, "review-1"))[0] == two.second
        replica.promote(two.second, "bob")
        await task
    assert [(stage.mode, stage.candidate.requests) for stage in evidence_of(two).stages] == [
        ("shadow", 1),
        ("canary", 1),
    ]
