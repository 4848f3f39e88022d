"""The composition root: settings in, a router on a real engine out, and what activates another."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from pathlib import Path
from typing import NamedTuple

from opentelemetry.trace import Tracer
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics

from serve.activation.activation import Activator
from serve.activation.follow import Follower
from serve.activation.phases import ENDS, LIMITS_S, Phase
from serve.activation.proof import verify
from serve.activation.replica import Replica
from serve.activation.strategy import BlueGreen, InPlace
from serve.configured import registry_of
from serve.engine.vllm.engine import VllmEngine
from serve.engine.vllm.llm import EngineOptions
from serve.http.admin import Admin
from serve.http.app import create_app
from serve.http.server import Server, announcement
from serve.http.service import DEAD
from serve.registry.lease import Lease
from serve.routing.active import Active
from serve.routing.limits import RouteLimits
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.routing.source import is_base_model
from serve.settings import Settings
from serve.telemetry.activation_metrics import ActivationMetrics
from serve.telemetry.metrics import Metrics
from serve.telemetry.traces import NO_TRACER
from serve.telemetry.trial_metrics import TrialMetrics
from serve.trials.agreement import COMPARED
from serve.trials.policy import TrialRules
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.errors import EngineFailed
from taxonomy.formats.registry import load_taxonomy

log = logging.getLogger(__name__)


class First(NamedTuple):
    """The pair to begin with; one from the registry, or merged here, has a fingerprint to be verified."""

    pair: Pair
    fingerprint: Fingerprint | None


class ServiceMetrics(NamedTuple):
    """All that one service counts and times."""

    answers: Metrics
    activations: ActivationMetrics
    trials: TrialMetrics


def metrics_on(registry: CollectorRegistry, tracer: Tracer = NO_TRACER) -> ServiceMetrics:
    """Every metric of a service, none of them counted yet."""
    activations = ActivationMetrics(registry, list(Phase), ENDS)
    return ServiceMetrics(Metrics(registry, tracer), activations, TrialMetrics(registry, COMPARED))


def limits_of(settings: Settings) -> RouteLimits:
    """What a router takes on."""
    return RouteLimits(settings.max_comment, settings.max_chunks, settings.max_num_seqs, settings.max_waiting)


def engine_options_of(settings: Settings) -> EngineOptions:
    """What vLLM is started with."""
    return EngineOptions(settings.max_model_len, settings.max_num_seqs, settings.engine)


def load_pair(settings: Settings) -> Pair:
    """The pair that the settings name. Raises TaxonomyInvalid, CheckpointInvalid or CallWrong."""
    registry = registry_of(settings)
    bases = registry.folder if registry else None
    taxonomy = load_taxonomy(settings.taxonomy)
    return pair_of(settings.checkpoint, taxonomy, settings.cache, bases, _context_of(settings))


def _context_of(settings: Settings) -> int | None:
    """What the settings say of it; vLLM's own argument goes before ours."""
    given = settings.engine.get("max_model_len", settings.max_model_len)
    return given if isinstance(given, int) and given > 0 else None


def first_pair(settings: Settings) -> First:
    """The registry's active pair, or the settings' where there is none.

    Raises TaxonomyInvalid, CheckpointInvalid, RegistryFailed or CallWrong.
    """
    registry = registry_of(settings)
    if registry is None or (checkpoint := registry.read().active) is None:
        return First(load_pair(settings), _proof_of_merge(settings.checkpoint))
    manifest, taxonomy = registry.manifest(checkpoint), registry.taxonomy(checkpoint)
    pair = pair_of(str(registry.folder(checkpoint)), taxonomy, settings.cache, context=_context_of(settings))
    return First(pair, manifest.fingerprint)


def _proof_of_merge(checkpoint: str) -> Fingerprint | None:
    """No hash is known of weights that were added up on this machine; what was recorded says whether they are right."""
    if is_base_model(checkpoint):
        return None
    manifest = read_manifest(Path(checkpoint))
    return manifest.fingerprint if manifest.delta_of else None


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
    loading = asyncio.ensure_future(
        asyncio.to_thread(VllmEngine, pair.model, engine_options_of(settings), metrics.engines)
    )
    try:
        engine = await asyncio.shield(loading)
    except asyncio.CancelledError:
        # A thread cannot be stopped: the engine that it may still bring is closed when it comes.
        loading.add_done_callback(_closed_late)
        raise
    limits = limits_of(settings)
    if pair.model.adapter is None:
        return Router(pair, engine, limits, engine.context, metrics)
    try:
        return Router(pair, await engine.beside(pair.model), limits, engine.context, metrics)
    finally:
        await engine.close()


def _closed_late(loading: asyncio.Future[VllmEngine]) -> None:
    if loading.cancelled() or loading.exception():
        return
    log.warning("an engine came after its activation was given up; it is closed")
    closing = asyncio.ensure_future(loading.result().close())
    closing.add_done_callback(lambda done: done.exception())


def activator_of(settings: Settings, active: Active, metrics: ServiceMetrics) -> Activator | None:
    """What activates checkpoints of the settings' registry; None where they name none."""
    registry = registry_of(settings)
    if registry is None:
        return None

    async def load(pair: Pair) -> Router:
        if active.router.carries(pair):
            return await active.router.beside(pair)
        return await load_router(settings, pair, metrics.answers)

    strategy = BlueGreen(load) if settings.activation == "blue_green" else InPlace(active, registry)
    limits_s = {**LIMITS_S, **settings.activation_limits_s}
    tracer = metrics.answers.tracer
    return Activator(active, registry, strategy, settings.cache, metrics.activations, limits_s=limits_s, tracer=tracer)


def admin_of(settings: Settings, active: Active, metrics: ServiceMetrics, rules: TrialRules) -> Admin:
    """Who may change what serves, and what follows the registry."""
    activator = activator_of(settings, active, metrics)
    if activator is None:
        return Admin(None, settings.admin_key)
    lease = Lease(activator.registry, f"{socket.gethostname()}/{os.getpid()}")
    replica = Replica(activator, lease, metrics.trials, rules)
    return Admin(replica, settings.admin_key, Follower(replica, metrics.activations, settings.follow_s))


async def serve(
    settings: Settings, first: First, listening: socket.socket, *, rules: TrialRules, tracer: Tracer
) -> None:
    """Answer on a socket until a signal ends it. Raises EngineFailed where the engine does not start, or dies."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing here reads them
    metrics = metrics_on(REGISTRY, tracer)
    active = Active(await start_router(settings, *first, metrics.answers), metrics.answers)
    app = create_app(active, metrics.answers, admin_of(settings, active, metrics, rules))
    address = f"http://{settings.host}:{listening.getsockname()[1]}"
    ready = announcement(address, first.pair.checkpoint, first.pair.taxonomy.version)
    server = Server(app, ready, lambda: active.router.is_alive)
    await server.serve(sockets=[listening])
    if server.has_lost_engine:
        raise EngineFailed(DEAD)
