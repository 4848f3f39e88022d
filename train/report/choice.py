"""What a manifest says of the choice among a run's candidates, under `training.choice`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Estimate(_Frozen):
    """What was measured, and its 95% interval: from, to."""

    value: float
    interval_95: tuple[float, float]

    @property
    def low(self) -> float:
        return self.interval_95[0]


class BaseRecord(_Frozen):
    """The base on both axes of the validation split. general: None where no question was asked."""

    name: str
    leaf_f1: Estimate
    general: Estimate | None


class CandidateRecord(_Frozen):
    """A candidate on both axes. shares: how much of each step's weights (0: the base's) it is made of.

    on_front: no other is better on one axis without being worse on the other.
    """

    shares: dict[int, float]
    name: str
    leaf_f1: Estimate
    general: Estimate | None
    on_front: bool


class ValidationRecord(_Frozen):
    """How much was decoded and asked, and a hash of the comments."""

    comments: int
    fingerprint: str
    questions: int


class ChoiceRecord(_Frozen):
    """The name of the published candidate, why it is that one, and all that it was chosen among."""

    chosen: str
    reason: str
    validation: ValidationRecord
    base: BaseRecord | None
    candidates: list[CandidateRecord]
