"""What passes over the admin's part of HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.activation.phases import Phase
from serve.registry.state import CheckpointState
from serve.telemetry.trial_metrics import Mode
from serve.trials.figures import TrialFigures
from serve.trials.golden import GoldenFigures
from taxonomy.checkpoint.gate_record import Finding


class ActivationBody(BaseModel):
    """What an admin asks for; it may be left out. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field("admin", min_length=1, max_length=200, description="Who asks; it is recorded.")
    without_gate: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the admin who takes on what the gate did not pass."
    )


class TrialBody(ActivationBody):
    """What an admin asks for of a canary or shadow."""

    share: float = Field(gt=0, le=1, description="Of this replica's requests: 0.05 is one in twenty.")


class ActivationReport(BaseModel):
    """An activation, under way or over. before: what served when it began. broke_off: where it ended, and why."""

    checkpoint: str | None
    before: str
    rollback: Annotated[bool, Field(description="Whether the one before was asked for, whichever that is.")]
    phase: Annotated[Phase, Field(description="Where the service is now; `idle` where nothing is under way.")]
    outcome: Literal["under way", "active", "failed", "stopped"]
    broke_off: Phase | None
    reason: str
    by: str
    without_gate: str | None
    seconds: Annotated[dict[Phase, float], Field(description="How long each phase took.")]


class TrialReport(BaseModel):
    """A candidate on trial: what the policy says of it now, and the figures of each mode and share it had."""

    checkpoint: str | None
    mode: Mode
    share: float
    findings: tuple[Finding, ...]
    golden: GoldenFigures | None
    stages: tuple[TrialFigures, ...]


class ServingPair(BaseModel):
    """What answers at this replica."""

    checkpoint: str
    taxonomy: str


class CheckpointOut(BaseModel):
    """A checkpoint of the registry, with the taxonomy that it was added with."""

    checkpoint: str
    state: CheckpointState
    taxonomy: str


class CheckpointList(BaseModel):
    """The registry as it is now, and what this replica makes of it."""

    replica: str
    serving: ServingPair
    active: Annotated[str | None, Field(description="What the registry says is to serve.")]
    skew: Annotated[bool, Field(description="Whether this replica serves another one.")]
    loading: Annotated[str | None, Field(description="The replica that loads a checkpoint now.")]
    rollback: Annotated[str | None, Field(description="Where a rollback leads.")]
    versions: list[CheckpointOut]
    activation: Annotated[ActivationReport | None, Field(description="The one under way, or the last.")]
    trial: TrialReport | None
