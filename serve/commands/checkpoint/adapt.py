"""`route-feedback checkpoint adapt`."""

from __future__ import annotations

from typing import Annotated

import typer

from serve.commands.options import Folder, RegistryPlace, SettingsFile, settings_of
from serve.commands.registry import registry_for
from taxonomy.checkpoint.adapter import adapter_of
from taxonomy.command_line import Json, emit
from taxonomy.labels import CheckpointId


def command(
    folder: Folder,
    base: Annotated[str, typer.Option(help="ck_..., in the registry: what the adapter's weights are added to.")],
    registry: RegistryPlace = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Make a checkpoint of an adapter in PEFT's format, over one of the registry."""
    below = registry_for(settings_of(settings, registry=registry)).manifest(CheckpointId(base))
    manifest = adapter_of(folder, below)
    text = f"{folder}: {manifest.version}, an adapter of {base}; record its fingerprint, then add it"
    emit({"checkpoint": manifest.version, "adapter_of": base}, text, as_json=json)
