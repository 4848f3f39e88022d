"""`route-feedback checkpoint show`."""

from __future__ import annotations

from serve.commands.options import Id, RegistryPlace, SettingsFile, settings_of
from serve.commands.registry import registry_for
from taxonomy.command_line import Json, emit
from taxonomy.labels import CheckpointId


def command(id: Id, registry: RegistryPlace = None, settings: SettingsFile = None, json: Json = False) -> None:
    """One checkpoint, and what was done with it."""
    checkpoint, source = CheckpointId(id), registry_for(settings_of(settings, registry=registry))
    known, manifest = source.read().get(checkpoint), source.manifest(checkpoint)
    changes = [entry for entry in source.journal() if entry.checkpoint == checkpoint]
    fingerprint, folder = manifest.fingerprint, source.store.where(checkpoint)
    value = {
        "checkpoint": checkpoint,
        **known.model_dump(),
        "folder": folder,
        "gate": manifest.decision,
        "fingerprint": fingerprint,
        "changes": [entry.model_dump(mode="json", exclude={"after"}) for entry in changes],
    }
    lines = [
        f"{checkpoint}: {known.state}, for {known.taxonomy}, in {folder}",
        source.gate_fault(manifest) or "the gate promotes it",
        f"{len(fingerprint.probes)} probes in its fingerprint" if fingerprint else "no fingerprint",
        *(
            f"{entry.at}  {entry.did} by {entry.by}"
            + (f", without the gate: {entry.without_gate}" if entry.without_gate else "")
            for entry in changes
        ),
    ]
    emit(value, "\n".join(lines), as_json=json)
