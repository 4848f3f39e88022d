"""`route-feedback checkpoint activate`."""

from __future__ import annotations

from serve.commands.admin_client import activated, who
from serve.commands.options import Id, RegistryPlace, SettingsFile, Url, WithoutGate, settings_of
from serve.commands.registry import emit_active, registry_for
from taxonomy.command_line import Json
from taxonomy.labels import CheckpointId


def command(
    id: Id,
    without_gate: WithoutGate = None,
    registry: RegistryPlace = None,
    url: Url = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Have a checkpoint serve, instead of the active one."""
    chosen = settings_of(settings, registry=registry)
    if url:
        body = {"without_gate": without_gate}
        activated(url, chosen.admin_key, f"/v1/checkpoints/{id}/activate", body, as_json=json)
        return
    target, checkpoint = registry_for(chosen), CheckpointId(id)
    now = target.read()
    target.may_serve(checkpoint, without_gate)
    target.activate(checkpoint, now.active, who(), without_gate)
    emit_active(target, as_json=json)
