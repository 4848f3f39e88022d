"""`route-feedback checkpoint list`."""

from __future__ import annotations

from serve.commands.options import RegistryPlace, SettingsFile, settings_of
from serve.commands.registry import registry_for
from taxonomy.command_line import Json, emit, table


def command(registry: RegistryPlace = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Every checkpoint, its state and its taxonomy."""
    now = registry_for(settings_of(settings, registry=registry)).read()
    versions = [{"checkpoint": name, **known.model_dump()} for name, known in now.checkpoints.items()]
    value = {"active": now.active, "rollback": now.behind[-1] if now.behind else None, "versions": versions}
    rows = [(name, known.state, known.taxonomy) for name, known in now.checkpoints.items()]
    shown = table(["checkpoint", "state", "taxonomy"], rows) if rows else "no checkpoints yet"
    emit(value, shown, as_json=json)
