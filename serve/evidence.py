"""What a trial ended with, and on what grounds: kept in the registry, beside the journal.

trials/00000001/evidence.json    one trial each, the oldest first
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from serve.figures import Figures
from serve.golden import GoldenFigures
from serve.registry import Registry
from taxonomy.decision import Finding, Verdict
from taxonomy.files import appeared
from taxonomy.labels import CheckpointId

Ending = Literal["promoted", "rejected", "stopped"]
_NAME: Final = "evidence.json"


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
    decision: Ending
    decided_by: str
    reason: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    policy: dict[str, Any]
    golden: GoldenFigures | None
    stages: tuple[Figures, ...]


def keep(registry: Registry, evidence: Evidence) -> None:
    """Raises RegistryFailed."""

    def written(place: FilePath) -> None:
        (place / _NAME).write_text(evidence.model_dump_json(indent=1) + "\n", encoding="utf-8")

    with registry.reached():
        list(registry.root.iterdir())  # where the root is gone, that is an error and no new registry
        while not appeared(_folder(registry) / f"{len(_numbers(registry)) + 1:08d}", written):
            pass  # another replica's was first


def kept(registry: Registry) -> list[Evidence]:
    """The oldest first. Raises RegistryFailed."""
    with registry.reached():
        places = [_folder(registry) / name / _NAME for name in _numbers(registry)]
        return [Evidence.model_validate_json(place.read_bytes()) for place in places]


def _folder(registry: Registry) -> FilePath:
    return registry.root / "trials"


def _numbers(registry: Registry) -> list[str]:
    folder = _folder(registry)
    return sorted(place.name for place in folder.iterdir() if place.name.isdigit()) if folder.is_dir() else []
