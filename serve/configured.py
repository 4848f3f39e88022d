"""What the settings name, before anything is loaded."""

from __future__ import annotations

from serve.registry.object_store import store_at
from serve.registry.registry import Registry
from serve.settings import Settings


def registry_of(settings: Settings) -> Registry | None:
    """The settings' registry; None where they name none. Raises CallWrong."""
    if settings.registry is None:
        return None
    key = settings.gate_key.get_secret_value() if settings.gate_key else ""
    return Registry(store_at(settings.registry, settings.cache), key)
