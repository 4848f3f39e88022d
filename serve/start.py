"""The composition root: settings in, a router on a real engine out."""

from __future__ import annotations

from serve.pair import load_pair
from serve.router import Router
from serve.settings import Settings
from serve.vllm_engine import VllmEngine


def start_router(settings: Settings) -> Router:
    """Load the pair, then the engine. Raises what is wrong with either before it takes traffic."""
    pair = load_pair(settings)
    engine = VllmEngine(pair.model, settings)
    return Router(pair, engine, settings, engine.context)
