"""`route-feedback checkpoint canary`."""

from __future__ import annotations

from serve.commands.admin_client import tried
from serve.commands.options import Id, ServiceUrl, SettingsFile, Share, WithoutGate, settings_of
from taxonomy.command_line import Json


def command(
    id: Id,
    share: Share,
    url: ServiceUrl,
    without_gate: WithoutGate = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Try a checkpoint on a share of the requests, at one running service; returns when it has its share."""
    key = settings_of(settings).admin_key
    tried(url, key, checkpoint=id, mode="canary", share=share, without_gate=without_gate, as_json=json)
