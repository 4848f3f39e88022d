"""Which of a run's candidates is published: the Pareto front of both axes, and the rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from train.report.choice import Estimate


class ScoredCandidate(NamedTuple):
    """A candidate on both axes of the validation split: leaf F1 of comments, and accuracy on general questions.

    general: None where no question was asked.
    """

    name: str
    leaf: Estimate
    general: Estimate | None = None

    @property
    def product(self) -> float:
        """What a trade is worth: losing a tenth of either axis costs the same."""
        return self.leaf.value * (self.general.value if self.general else 1.0)


class Choice(NamedTuple):
    """The name of the one chosen, and why."""

    name: str
    reason: str


def front(scored: Sequence[ScoredCandidate]) -> list[ScoredCandidate]:
    """Those that no other beats on one axis without being worse on the other; in their order."""
    return [one for one in scored if not any(_dominates(other, one) for other in scored)]


def _dominates(one: ScoredCandidate, other: ScoredCandidate) -> bool:
    mine, its = _axes(one), _axes(other)
    return mine != its and all(a >= b for a, b in zip(mine, its, strict=True))


def _axes(one: ScoredCandidate) -> tuple[float, ...]:
    return (one.leaf.value,) if one.general is None else (one.leaf.value, one.general.value)


def chosen(scored: Sequence[ScoredCandidate], base: ScoredCandidate | None = None) -> Choice:
    """The highest leaf F1 among those whose general accuracy is not below the lower end of the base's interval.

    Where none is, or there is no base: the greatest product of the axes. Of equal ones the better on the other axis,
    then the first. Raises ValueError where there is none to choose from.
    """
    if base and base.general:
        floor = base.general.low
        kept = [one for one in scored if one.general and one.general.value >= floor]
        if kept:
            best = max(kept, key=_axes)
            reason = f"highest leaf F1 of the {len(kept)} whose general accuracy is not below the base's {floor:.3f}"
            return Choice(best.name, reason + " (the lower end of its interval)")
        best = max(scored, key=lambda one: (one.product, *_axes(one)))
        return Choice(
            best.name, f"none keeps general accuracy at the base's {floor:.3f}; greatest product of both axes"
        )
    best = max(scored, key=lambda one: (one.product, *_axes(one)))
    if best.general is None:
        return Choice(best.name, "highest leaf F1; no general question was asked")
    return Choice(best.name, "greatest product of both axes; there is no base to stay at")
