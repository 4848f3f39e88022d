"""What a trial ended with, and on what grounds: records of the registry, beside the journal."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from serve.registry.registry import Registry
from serve.registry.store import RecordKind
from serve.trials.figures import TrialFigures
from serve.trials.golden import GoldenFigures
from serve.trials.policy import TrialPolicy
from taxonomy.checkpoint.gate_record import Finding, Verdict
from taxonomy.labels import CheckpointId

TrialDecision = Literal["promoted", "rejected", "stopped"]


class Evidence(BaseModel):
    """One trial. verdict: the policy's, at the end. decided_by: the policy, or whoever said so. Times: ISO 8601, UTC.

    promoted says what was decided: the shift came after, and the journal tells whether it succeeded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidate: CheckpointId
    active: CheckpointId
    replica: str
    began_by: str
    without_gate: str | None
    ended: str
    decision: TrialDecision
    decided_by: str
    reason: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    policy: TrialPolicy
    golden: GoldenFigures | None
    stages: tuple[TrialFigures, ...]


def write_evidence(registry: Registry, evidence: Evidence) -> None:
    """Raises RegistryFailed."""
    with registry.reached():
        store, text = registry.store, evidence.model_dump_json(indent=1) + "\n"
        while not store.create(RecordKind.TRIALS, max(store.numbers(RecordKind.TRIALS), default=0) + 1, text):
            pass  # another replica's was first


def read_evidence(registry: Registry) -> list[Evidence]:
    """The oldest first. Raises RegistryFailed."""
    with registry.reached():
        numbers = registry.store.numbers(RecordKind.TRIALS)
        return [Evidence.model_validate_json(registry.store.read(RecordKind.TRIALS, number)) for number in numbers]
