"""`route-feedback checkpoint add`."""

from __future__ import annotations

from serve.commands.admin_client import who
from serve.commands.options import Folder, RegistryPlace, SettingsFile, TaxonomyOfCheckpoint, settings_of
from serve.commands.registry import registry_for
from serve.registry.state import CheckpointState
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit
from taxonomy.formats.registry import load_taxonomy


def command(
    folder: Folder,
    registry: RegistryPlace = None,
    taxonomy: TaxonomyOfCheckpoint = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Copy a checkpoint into the registry."""
    target = registry_for(settings_of(settings, registry=registry, taxonomy=taxonomy))
    manifest = target.add(folder, load_taxonomy(taxonomy or BUNDLED_TAXONOMY), who())
    state = target.read().get(manifest.version).state
    fault = target.gate_fault(manifest) if state is CheckpointState.CANDIDATE else ""
    text = f"{manifest.version}: {state} in {target.store}" + (f"; {fault}" if fault else "")
    emit({"checkpoint": manifest.version, "state": state, "gate": fault or "passed"}, text, as_json=json)
