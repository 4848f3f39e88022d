"""The registry that a command works on."""

from __future__ import annotations

from serve.configured import registry_of
from serve.registry.registry import Registry
from serve.settings import Settings
from taxonomy.command_line import emit
from taxonomy.errors import CallWrong


def registry_for(settings: Settings) -> Registry:
    """Raises CallWrong where the settings name none."""
    registry = registry_of(settings)
    if registry is None:
        raise CallWrong("which registry? give --registry DIR or set ROUTE_FEEDBACK_REGISTRY")
    return registry


def emit_active(registry: Registry, *, as_json: bool) -> None:
    """Which checkpoint is the active one now."""
    active = registry.read().active
    text = f"{active} is active: services that share the registry verify it and follow, one after the other"
    emit({"active": active}, text, as_json=as_json)
