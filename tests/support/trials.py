"""A candidate on trial beside the active checkpoint, and what is seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.activation.activation import Activation
from serve.activation.replica import Replica
from serve.routing.answer import Answer
from serve.trials.evidence import Evidence, read_evidence
from serve.trials.policy import DEFAULT_RULES, TrialRules
from serve.trials.trial import TrialPlan, TrialRequest
from taxonomy.labels import CheckpointId
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints, until

IDS = [f"review-{number}" for number in range(40)]
Running = asyncio.Task[Activation]


@asynccontextmanager
async def on_trial(
    two: TwoCheckpoints, plan: TrialPlan, rules: TrialRules = DEFAULT_RULES
) -> AsyncIterator[tuple[Replica, Running]]:
    """The second checkpoint beside the first, once it has its share."""
    replica = two.replica(rules=rules)
    task = asyncio.create_task(replica.try_out(TrialRequest(two.second, "ada", plan)))
    await until(lambda: two.active.split is not None or task.done())
    try:
        yield replica, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def answered(two: TwoCheckpoints, name: str) -> tuple[CheckpointId, Answer]:
    """As the service answers a customer."""
    with two.active.borrowed(name) as router:
        answer = await router.route(COMMENT)
        two.active.answered(router, name, COMMENT, answer)
        return router.pair.checkpoint, answer


async def settled(two: TwoCheckpoints, copies: int) -> None:
    """Returns when the candidate has decided that many comments since it was loaded."""
    await until(lambda: two.engines[two.second].decoded >= copies)


def evidence_of(two: TwoCheckpoints) -> Evidence:
    """The evidence of the one trial that there was."""
    (evidence,) = read_evidence(two.registry)
    return evidence


def sample(two: TwoCheckpoints, name: str, **labels: str) -> float | None:
    return two.metrics.answers.registry.get_sample_value(f"route_feedback_{name}", labels)
