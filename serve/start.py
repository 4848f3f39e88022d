"""The composition root: settings and a pair in, a router on a real engine out."""

from __future__ import annotations

from serve.metrics import Metrics
from serve.pair import Pair
from serve.router import Router
from serve.settings import Settings
from serve.vllm_engine import VllmEngine


async def start_router(settings: Settings, pair: Pair, metrics: Metrics | None = None) -> Router:
    """Start an engine on the pair's model and warm it. Raises EngineFailed before it takes traffic."""
    engine = VllmEngine(pair, settings)
    router = Router(pair, engine, settings, engine.context, metrics)
    try:
        await router.warm()
    except BaseException:
        await engine.close()
        raise
    return router
