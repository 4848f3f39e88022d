"""`route-feedback checkpoint promote`."""

from __future__ import annotations

from serve.commands.admin_client import ended
from serve.commands.options import Id, ServiceUrl, SettingsFile, settings_of
from taxonomy.command_line import Json


def command(id: Id, url: ServiceUrl, settings: SettingsFile = None, json: Json = False) -> None:
    """Make the checkpoint on trial the active one, and follow that to its end."""
    ended(url, settings_of(settings).admin_key, id, "promote", "active", as_json=json)
