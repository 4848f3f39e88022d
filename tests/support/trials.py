"""A candidate on trial in a house, and what is seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.activation.activation import ActivationRequest, Report
from serve.activation.replica import Replica
from serve.routing.answer import Answer
from serve.trials.evidence import Evidence, kept
from serve.trials.policy import USUAL, Rules
from serve.trials.trial import Plan
from taxonomy.labels import CheckpointId
from tests.support.two_checkpoints import COMMENT, House, until

IDS = [f"review-{number}" for number in range(40)]
Running = asyncio.Task[Report]


@asynccontextmanager
async def on_trial(house: House, plan: Plan, rules: Rules = USUAL) -> AsyncIterator[tuple[Replica, Running]]:
    """Version two beside version one, once it has its share."""
    replica = house.replica(rules=rules)
    task = asyncio.create_task(replica.try_out(ActivationRequest(house.two, "ada"), plan))
    await until(lambda: house.active.split is not None or task.done())
    try:
        yield replica, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def asked(house: House, name: str) -> tuple[CheckpointId, Answer]:
    """As the service asks for a customer."""
    with house.active.borrowed(name) as router:
        answer = await router.route(COMMENT)
        house.active.answered(router, name, COMMENT, answer)
        return router.pair.checkpoint, answer


async def settled(house: House, copies: int) -> None:
    """Returns when the candidate has decided that many comments since it was loaded."""
    await until(lambda: house.engines[house.two].decoded >= copies)


def ended(house: House) -> Evidence:
    """The evidence of the one trial that there was."""
    (evidence,) = kept(house.registry)
    return evidence


def sample(house: House, name: str, **labels: str) -> float | None:
    return house.active.metrics.registry.get_sample_value(f"route_feedback_{name}", labels)
