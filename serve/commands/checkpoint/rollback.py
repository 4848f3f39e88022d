"""`route-feedback checkpoint rollback`."""

from __future__ import annotations

from serve.commands.admin_client import activated, who
from serve.commands.options import RegistryPlace, SettingsFile, Url, settings_of
from serve.commands.registry import emit_active, registry_for
from taxonomy.command_line import Json


def command(registry: RegistryPlace = None, url: Url = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Go back to the one that served before."""
    chosen = settings_of(settings, registry=registry)
    if url:
        activated(url, chosen.admin_key, "/v1/checkpoints/rollback", {}, as_json=json)
        return
    target = registry_for(chosen)
    now = target.read()
    target.roll_back(now.before, now.active, who())
    emit_active(target, as_json=json)
