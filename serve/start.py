"""The composition root: settings in, a router on a real engine out, and what swaps it for another."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from serve.activation.activation import Activator
from serve.activation.follow import Follower
from serve.activation.phases import LIMITS_S
from serve.activation.proof import verify
from serve.activation.replica import Replica
from serve.activation.strategy import BlueGreen, InPlace
from serve.engine.vllm.engine import VllmEngine
from serve.http.routes.checkpoints import Admin
from serve.registry.lease import Lease
from serve.registry.registry import registry_of
from serve.routing.active import Active
from serve.routing.pair import Pair, load_pair, pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.telemetry.metrics import Metrics
from serve.trials.policy import Rules
from taxonomy.checkpoint.fingerprint import Fingerprint

log = logging.getLogger(__name__)


class First(NamedTuple):
    """The pair to begin with; one from the registry has a fingerprint to be verified."""

    pair: Pair
    fingerprint: Fingerprint | None


def first_pair(settings: Settings) -> First:
    """The registry's active pair, or the settings' where there is none.

    Raises TaxonomyInvalid, CheckpointInvalid, RegistryFailed or CallWrong.
    """
    registry = registry_of(settings)
    if registry is None or (checkpoint := registry.read().active) is None:
        return First(load_pair(settings), None)
    manifest, taxonomy = registry.manifest(checkpoint), registry.taxonomy(checkpoint)
    pair = pair_of(str(registry.folder(checkpoint)), taxonomy, settings.cache.expanduser())
    return First(pair, manifest.fingerprint)


async def start_router(
    settings: Settings, pair: Pair, fingerprint: Fingerprint | None = None, metrics: Metrics | None = None
) -> Router:
    """Start an engine on the pair's model, warm it, and verify it where there is a fingerprint.

    Raises EngineFailed or FingerprintDiffers before it takes traffic.
    """
    router = await load_router(settings, pair, metrics)
    try:
        await router.warm()
        if fingerprint:
            await verify(router, fingerprint)
    except BaseException:
        await router.close()
        raise
    return router


async def load_router(settings: Settings, pair: Pair, metrics: Metrics | None = None) -> Router:
    """Start an engine on the pair, in a thread: what serves meanwhile goes on serving. Raises EngineFailed."""
    metrics = metrics or Metrics(CollectorRegistry())
    loading = asyncio.ensure_future(asyncio.to_thread(VllmEngine, pair, settings, metrics.engines))
    try:
        engine = await asyncio.shield(loading)
    except asyncio.CancelledError:
        # A thread cannot be stopped: the engine that it may still bring is closed when it comes.
        loading.add_done_callback(_closed_late)
        raise
    if pair.adapter is None:
        return Router(pair, engine, settings, engine.context, metrics)
    try:
        return Router(pair, await engine.beside(pair), settings, engine.context, metrics)
    finally:
        await engine.close()


def _closed_late(loading: asyncio.Future[VllmEngine]) -> None:
    if loading.cancelled() or loading.exception():
        return
    log.warning("an engine came after its activation was given up; it is closed")
    closing = asyncio.ensure_future(loading.result().close())
    closing.add_done_callback(lambda done: done.exception())


def swap_of(settings: Settings, active: Active) -> Activator | None:
    """What activates checkpoints of the settings' registry; None where they name none."""
    registry = registry_of(settings)
    if registry is None:
        return None

    async def load(pair: Pair) -> Router:
        if active.router.carries(pair):
            return await active.router.beside(pair)
        return await load_router(settings, pair, active.metrics)

    strategy = BlueGreen(load) if settings.swap == "blue_green" else InPlace(active, registry)
    return Activator(active, registry, strategy, settings.cache.expanduser(), {**LIMITS_S, **settings.swap_limits_s})


def admin_of(settings: Settings, active: Active, rules: Rules) -> Admin:
    """Who may change what serves, and what follows the registry."""
    swap = swap_of(settings, active)
    if swap is None:
        return Admin(None, settings.admin_key)
    lease = Lease(swap.registry, f"{socket.gethostname()}/{os.getpid()}")
    replica = Replica(swap, lease, rules)
    return Admin(replica, settings.admin_key, Follower(replica, settings.follow_s))
