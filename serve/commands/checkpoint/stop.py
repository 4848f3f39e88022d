"""`route-feedback checkpoint stop`."""

from __future__ import annotations

from serve.commands.admin_client import ended
from serve.commands.options import Id, ServiceUrl, SettingsFile, settings_of
from taxonomy.command_line import Json


def command(id: Id, url: ServiceUrl, settings: SettingsFile = None, json: Json = False) -> None:
    """End a trial, and follow that to its end."""
    ended(url, settings_of(settings).admin_key, id, "stop", "stopped", as_json=json)
