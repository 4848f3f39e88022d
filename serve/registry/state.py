"""What a registry holds at one moment, and which changes of it there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from taxonomy.errors import ActivationRefused, CheckpointUnknown
from taxonomy.labels import CheckpointId, TaxonomyId


class CheckpointState(StrEnum):
    """CANDIDATE: added. PASSED: the gate promotes it. ACTIVE: it serves; at most one. RETIRED: it served before."""

    CANDIDATE = "candidate"
    PASSED = "passed"
    ACTIVE = "active"
    RETIRED = "retired"


NEXT: Final[Mapping[CheckpointState, frozenset[CheckpointState]]] = MappingProxyType(
    {
        CheckpointState.CANDIDATE: frozenset(
            {CheckpointState.PASSED, CheckpointState.ACTIVE}
        ),  # active at once only where an admin says so by name
        CheckpointState.PASSED: frozenset({CheckpointState.ACTIVE}),
        CheckpointState.ACTIVE: frozenset({CheckpointState.RETIRED}),
        CheckpointState.RETIRED: frozenset({CheckpointState.ACTIVE}),
    }
)


class Registered(BaseModel):
    """One checkpoint with the taxonomy that it was added with: the pair that serves when it is active."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: CheckpointState
    taxonomy: TaxonomyId


class RegistryState(BaseModel):
    """All checkpoints by id. behind: those that served before the active one, newest last; rolling back goes there.

    The journal's records call the checkpoints `versions`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    checkpoints: Annotated[dict[CheckpointId, Registered], Field(alias="versions")] = {}
    behind: tuple[CheckpointId, ...] = ()

    @property
    def active(self) -> CheckpointId | None:
        return next((name for name, known in self.checkpoints.items() if known.state is CheckpointState.ACTIVE), None)

    @property
    def before(self) -> CheckpointId:
        """Where a rollback leads. Raises ActivationRefused where it leads nowhere."""
        if not self.behind:
            raise ActivationRefused("there is nothing to roll back to: no version served before the active one")
        return self.behind[-1]

    def get(self, checkpoint: CheckpointId) -> Registered:
        """Raises CheckpointUnknown."""
        try:
            return self.checkpoints[checkpoint]
        except KeyError:
            raise CheckpointUnknown(f"the registry has no checkpoint {checkpoint}; `list` shows those it has") from None

    def with_added(self, checkpoint: CheckpointId, taxonomy: TaxonomyId, *, passed: bool) -> RegistryState:
        """A new candidate, or one that has passed; what passed already stays as it is. Raises ActivationRefused."""
        known = self.checkpoints.get(checkpoint)
        if known and known.taxonomy != taxonomy:
            raise ActivationRefused(f"{checkpoint} is in the registry already, with taxonomy {known.taxonomy}")
        if known is None:
            known = Registered(state=CheckpointState.CANDIDATE, taxonomy=taxonomy)
        if passed and known.state is CheckpointState.CANDIDATE:
            known = known.model_copy(update={"state": CheckpointState.PASSED})
        return self.model_copy(update={"checkpoints": self.checkpoints | {checkpoint: known}})

    def with_active(self, checkpoint: CheckpointId, instead_of: CheckpointId | None) -> RegistryState:
        """Raises CheckpointUnknown, or ActivationRefused where another is active than the one to be replaced."""
        if checkpoint == instead_of == self.active:
            return self
        old = self._replaced(checkpoint, instead_of)
        return old.model_copy(update={"behind": (*self.behind, *([instead_of] if instead_of else []))})

    def with_rollback(self, instead_of: CheckpointId | None) -> RegistryState:
        """The checkpoint before is active again, and the one before that is now behind it. Raises ActivationRefused."""
        return self._replaced(self.before, instead_of).model_copy(update={"behind": self.behind[:-1]})

    def _replaced(self, checkpoint: CheckpointId, instead_of: CheckpointId | None) -> RegistryState:
        if self.active != instead_of:
            raise ActivationRefused(
                f"{self.active} became active meanwhile, instead of {instead_of}; look, then try again"
            )
        after = dict(self.checkpoints)
        for name, state in ((instead_of, CheckpointState.RETIRED), (checkpoint, CheckpointState.ACTIVE)):
            if name is not None:
                after[name] = _moved(name, self.get(name), state)
        return self.model_copy(update={"checkpoints": after})


def _moved(name: CheckpointId, known: Registered, state: CheckpointState) -> Registered:
    if state not in NEXT[known.state]:
        raise ActivationRefused(f"{name} is {known.state} and cannot become {state}")
    return known.model_copy(update={"state": state})


class Entry(BaseModel):
    """One change of the registry, and everything as it is after it. without_gate: who took it on.

    id: what tells it from a like change by another, of the same second; empty in older journals.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    id: str = ""
    at: str
    by: str
    did: Literal["add", "activate", "rollback"]
    checkpoint: CheckpointId
    without_gate: str | None = None
    after: RegistryState
