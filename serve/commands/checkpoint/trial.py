"""`route-feedback checkpoint trial`."""

from __future__ import annotations

from serve.commands.admin_client import checkpoints_of, service
from serve.commands.options import ServiceUrl, SettingsFile, settings_of
from taxonomy.command_line import Json, emit, table


def command(url: ServiceUrl, settings: SettingsFile = None, json: Json = False) -> None:
    """What the trial under way has shown so far."""
    with service(url, settings_of(settings).admin_key) as client:
        now = checkpoints_of(client)
    replica, trial = now["replica"], now["trial"]
    if trial is None:
        emit({"replica": replica, "trial": None}, f"no trial at {replica}", as_json=json)
        return
    head = f"{trial['checkpoint']}: {trial['mode']} of {trial['share']:.1%} at {replica}"
    rows = [(finding["check"], finding["verdict"], finding["reason"]) for finding in trial["findings"]]
    emit({"replica": replica, "trial": trial}, head, table(["check", "verdict", "reason"], rows), as_json=json)
