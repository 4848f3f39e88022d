"""What a registry holds at one moment, and which changes of it there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from taxonomy.errors import ActivationRefused, CheckpointUnknown
from taxonomy.labels import CheckpointId, TaxonomyId


class State(StrEnum):
    """CANDIDATE: added. PASSED: the gate promotes it. ACTIVE: it serves; at most one. RETIRED: it served before."""

    CANDIDATE = "candidate"
    PASSED = "passed"
    ACTIVE = "active"
    RETIRED = "retired"


NEXT: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        State.CANDIDATE: frozenset({State.PASSED, State.ACTIVE}),  # active at once only where an admin says so by name
        State.PASSED: frozenset({State.ACTIVE}),
        State.ACTIVE: frozenset({State.RETIRED}),
        State.RETIRED: frozenset({State.ACTIVE}),
    }
)


class Version(BaseModel):
    """One checkpoint with the taxonomy that it was added with: the pair that serves when it is active."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State
    taxonomy: TaxonomyId


class Versions(BaseModel):
    """All versions by id. behind: those that served before the active one, newest last; rolling back goes there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    versions: dict[CheckpointId, Version] = {}
    behind: tuple[CheckpointId, ...] = ()

    @property
    def active(self) -> CheckpointId | None:
        return next((name for name, version in self.versions.items() if version.state is State.ACTIVE), None)

    @property
    def before(self) -> CheckpointId:
        """Where a rollback leads. Raises ActivationRefused where it leads nowhere."""
        if not self.behind:
            raise ActivationRefused("there is nothing to roll back to: no version served before the active one")
        return self.behind[-1]

    def get(self, checkpoint: CheckpointId) -> Version:
        """Raises CheckpointUnknown."""
        try:
            return self.versions[checkpoint]
        except KeyError:
            raise CheckpointUnknown(f"the registry has no checkpoint {checkpoint}; `list` shows those it has") from None

    def with_added(self, checkpoint: CheckpointId, taxonomy: TaxonomyId, *, passed: bool) -> Versions:
        """A new candidate, or one that has passed; what passed already stays as it is. Raises ActivationRefused."""
        known = self.versions.get(checkpoint)
        if known and known.taxonomy != taxonomy:
            raise ActivationRefused(f"{checkpoint} is in the registry already, with taxonomy {known.taxonomy}")
        if known is None:
            known = Version(state=State.CANDIDATE, taxonomy=taxonomy)
        if passed and known.state is State.CANDIDATE:
            known = known.model_copy(update={"state": State.PASSED})
        return self.model_copy(update={"versions": self.versions | {checkpoint: known}})

    def with_active(self, checkpoint: CheckpointId, instead_of: CheckpointId | None) -> Versions:
        """Raises CheckpointUnknown, or ActivationRefused where another is active than the one to be replaced."""
        if checkpoint == instead_of == self.active:
            return self
        old = self._replaced(checkpoint, instead_of)
        return old.model_copy(update={"behind": (*self.behind, *([instead_of] if instead_of else []))})

    def with_rollback(self, instead_of: CheckpointId | None) -> Versions:
        """The version before is active again, and the one before that is now behind it. Raises ActivationRefused."""
        return self._replaced(self.before, instead_of).model_copy(update={"behind": self.behind[:-1]})

    def _replaced(self, checkpoint: CheckpointId, instead_of: CheckpointId | None) -> Versions:
        if self.active != instead_of:
            raise ActivationRefused(
                f"{self.active} became active meanwhile, instead of {instead_of}; look, then try again"
            )
        after = dict(self.versions)
        for name, state in ((instead_of, State.RETIRED), (checkpoint, State.ACTIVE)):
            if name is not None:
                after[name] = _moved(name, self.get(name), state)
        return self.model_copy(update={"versions": after})


def _moved(name: CheckpointId, version: Version, state: State) -> Version:
    if state not in NEXT[version.state]:
        raise ActivationRefused(f"{name} is {version.state} and cannot become {state}")
    return version.model_copy(update={"state": state})


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
    after: Versions
