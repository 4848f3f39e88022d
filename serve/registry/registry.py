"""The registry: immutable checkpoints, and a journal of which of them serves.

Each change is a record of the journal that holds everything as it is after it; the newest says how things stand. Of
two processes that write the next record the second fails, reads again and decides anew (serve.registry.store). So there
is no lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from serve.registry.state import CheckpointState, Entry, RegistryState
from serve.registry.store import RecordKind, Store
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.checkpoint.gate_record import Verdict, evidence_of
from taxonomy.checkpoint.manifest import Manifest, check_pair, read_manifest, verify
from taxonomy.errors import ActivationRefused, CheckpointInvalid, RegistryFailed
from taxonomy.labels import CheckpointId
from taxonomy.tree import Taxonomy


class Registry:
    """Safe with any number of processes in one place. Every method raises RegistryFailed where that is gone."""

    def __init__(self, store: Store, gate_key: str = "") -> None:
        """`gate_key` signs the gate's records; without one they are taken unsigned."""
        self.store = store
        self._gate_key = gate_key

    def read(self) -> RegistryState:
        """How things stand."""
        with self.reached():
            return self._newest()[1]

    def journal(self) -> list[Entry]:
        """Every change, the oldest first."""
        with self.reached():
            return [self._entry(number) for number in self.store.numbers(RecordKind.JOURNAL)]

    def folder(self, checkpoint: CheckpointId) -> Path:
        """A directory with a checkpoint's files; fetched, where they lie behind a URL. Raises CheckpointInvalid."""
        with self.reached():
            return self.store.folder(checkpoint)

    def manifest(self, checkpoint: CheckpointId) -> Manifest:
        """Raises CheckpointUnknown or CheckpointInvalid."""
        self.read().get(checkpoint)
        with self.reached():
            return self.store.manifest(checkpoint)

    def taxonomy(self, checkpoint: CheckpointId) -> Taxonomy:
        """The taxonomy that a checkpoint was added with. Raises CheckpointUnknown, CallWrong or TaxonomyInvalid."""
        name = self.read().get(checkpoint).taxonomy
        with self.reached():
            taxonomy = self.store.taxonomy(name)
        if taxonomy.version != name:
            raise CheckpointInvalid(f"{self.store}: {name} there is {taxonomy.version}; add the checkpoint again")
        return taxonomy

    def add(self, folder: Path, taxonomy: Taxonomy, by: str) -> Manifest:
        """Copy a checkpoint in. One that is there already may bring what was found out since, until it has passed.

        Raises CheckpointInvalid where it is not whole or not for this taxonomy, ActivationRefused where it may not
        change, CheckpointUnknown where it is an adapter of what the registry does not have.
        """
        manifest = read_manifest(folder)
        verify(folder, manifest)
        check_pair(manifest, taxonomy)
        with self.reached():
            now = self.read() if self.store.exists() else RegistryState()
        known = now.checkpoints.get(manifest.version)
        if manifest.adapter_of:
            now.get(manifest.adapter_of)
        with self.reached():
            self.store.begin()
            self.store.keep(taxonomy)
            if not self.store.put(folder, manifest):
                self._completed(folder, manifest, known.state if known else CheckpointState.CANDIDATE)
        passed = not self.gate_fault(manifest)
        self._change(
            "add", manifest.version, by, lambda now: now.with_added(manifest.version, taxonomy.version, passed=passed)
        )
        return manifest

    def may_serve(self, checkpoint: CheckpointId, without_gate: str | None = None) -> Fingerprint:
        """The fingerprint to be verified. Raises ActivationRefused where neither the gate nor an admin lets it serve.

        One that served before (retired) may serve again; `without_gate` is the admin's name.
        """
        manifest, state = self.manifest(checkpoint), self.read().get(checkpoint).state
        fault = self.gate_fault(manifest)
        if fault and state in {CheckpointState.CANDIDATE, CheckpointState.PASSED} and not without_gate:
            raise ActivationRefused(f"{fault}; an admin may take it on by name (without_gate)")
        if manifest.fingerprint is None:
            remedy = "record it with `route-feedback checkpoint fingerprint` and add it again"
            raise ActivationRefused(f"{checkpoint} has no fingerprint, so nothing could prove that it serves; {remedy}")
        return manifest.fingerprint

    def gate_fault(self, manifest: Manifest) -> str:
        """Why the gate does not let a checkpoint serve; empty where it does."""
        record, again = manifest.decision, "run `route-feedback eval gate` on it and add it again"
        if record is None:
            return f"{manifest.version} has no gate record; {again}"
        judged = record.candidate, record.evidence
        if judged != (manifest.version, evidence_of(manifest.scores, manifest.calibration)):
            return f"the gate's record on {manifest.version} is of another checkpoint or other scores; {again}"
        if self._gate_key and not record.is_signed_with(self._gate_key):
            return f"the gate's record on {manifest.version} is not signed with this service's key; {again}"
        if record.verdict is not Verdict.PROMOTE:
            return f"the gate's verdict on {manifest.version} is {record.verdict}, not promote"
        return ""

    def activate(
        self, checkpoint: CheckpointId, instead_of: CheckpointId | None, by: str, without_gate: str | None = None
    ) -> Entry:
        """Raises CheckpointUnknown, or ActivationRefused where `instead_of` is no longer the active one."""
        return self._change(
            "activate", checkpoint, by, lambda now: now.with_active(checkpoint, instead_of), without_gate
        )

    def confirm(self, checkpoint: CheckpointId) -> None:
        """A service that served another one follows: nothing changes.

        Raises ActivationRefused where it is active no more.
        """
        if (active := self.read().active) != checkpoint:
            raise ActivationRefused(f"{active} became active meanwhile, instead of {checkpoint}; look, then try again")

    def roll_back(self, checkpoint: CheckpointId, instead_of: CheckpointId | None, by: str) -> Entry:
        """`checkpoint` is what served before. Raises ActivationRefused where that is no longer so."""

        def back(now: RegistryState) -> RegistryState:
            if now.before != checkpoint:
                raise ActivationRefused(
                    f"a rollback now leads to {now.before}, not to {checkpoint}; look, then try again"
                )
            return now.with_rollback(instead_of)

        return self._change("rollback", checkpoint, by, back)

    def _change(
        self,
        did: str,
        checkpoint: CheckpointId,
        by: str,
        change: Callable[[RegistryState], RegistryState],
        without_gate: str | None = None,
    ) -> Entry:
        with self.reached():
            while True:
                number, now = self._newest()
                after = change(now)
                entry = Entry.model_validate(
                    {"number": number + 1, "id": uuid.uuid4().hex, "by": by, "did": did, "checkpoint": checkpoint}
                    | {
                        "at": datetime.now(UTC).isoformat(timespec="seconds"),
                        "without_gate": without_gate,
                        "after": after,
                    }
                )
                if self.store.create(RecordKind.JOURNAL, entry.number, entry.model_dump_json(indent=1) + "\n"):
                    return entry
                # Another process was first: what it left is looked at anew.

    def _newest(self) -> tuple[int, RegistryState]:
        number = max(self.store.numbers(RecordKind.JOURNAL), default=0)
        return number, self._entry(number).after if number else RegistryState()

    def _entry(self, number: int) -> Entry:
        return Entry.model_validate_json(self.store.read(RecordKind.JOURNAL, number))

    def _completed(self, folder: Path, manifest: Manifest, state: CheckpointState) -> None:
        """The files are there; what the manifest says beside them may be added until the checkpoint has passed."""
        kept = self.store.manifest(manifest.version)
        self.store.check(folder, kept)
        if kept == manifest:
            return
        if state is not CheckpointState.CANDIDATE:
            raise ActivationRefused(f"{manifest.version} is {state} in the registry; its manifest no longer changes")
        self.store.publish(manifest)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises RegistryFailed for what the place raises."""
        try:
            yield
        except OSError as error:
            raise RegistryFailed(f"registry {self.store}: {error.strerror or error} ({error.filename})") from error
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise RegistryFailed(f"registry {self.store}: its newest entry is damaged ({what})") from error
