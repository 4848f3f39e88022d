"""A candidate and the active pair on the same labelled comments."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from serve.routing.router import Router
from serve.trials.agreement import differing, spans_of
from taxonomy.comments import LabelledComment
from taxonomy.labels import LEVELS


class GoldenFigures(BaseModel):
    """Share of the comments' code points that each pair labels as they are labelled, the whole path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comments: int
    active: float
    candidate: float


async def measured(active: Router, candidate: Router, gold: Sequence[LabelledComment]) -> GoldenFigures:
    """One comment after the other, past the queues. Raises EngineFailed or CommentTooLong."""
    return GoldenFigures(
        comments=len(gold), active=await _agreement(active, gold), candidate=await _agreement(candidate, gold)
    )


async def _agreement(router: Router, gold: Sequence[LabelledComment]) -> float:
    wrong = 0
    for comment in gold:
        answer = await router.aside(comment.comment)
        wrong += differing(spans_of(answer), comment.segments, len(comment.comment))[LEVELS[-1]]
    return 1 - wrong / sum(len(comment.comment) for comment in gold)
