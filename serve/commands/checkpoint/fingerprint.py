"""`route-feedback checkpoint fingerprint`."""

from __future__ import annotations

from serve.commands.options import (
    Folder,
    RegistryPlace,
    SettingsFile,
    TaxonomyOfCheckpoint,
    check_named,
    settings_of,
)
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.command_line import Json, emit


def command(
    folder: Folder,
    registry: RegistryPlace = None,
    taxonomy: TaxonomyOfCheckpoint = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Record what the engine decides with it."""
    chosen = settings_of(settings, registry=registry, taxonomy=taxonomy)
    check_named(chosen)
    version = read_manifest(folder).version
    from serve.activation.proof import PROBES
    from serve.fingerprinting import fingerprinted

    fingerprint = fingerprinted(folder, chosen)
    decisions = sum(len(probe.tokens) for probe in fingerprint.probes)
    kept = f"{len(fingerprint.probes)} of {len(PROBES)} probes with {decisions} decisions"
    text = f"{folder}: {kept}, recorded on {fingerprint.recorded_on}, spread {fingerprint.spread:.2g}"
    emit({"version": version, **fingerprint.model_dump(mode="json")}, text, as_json=json)
