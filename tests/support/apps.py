"""The service's app over a router of a test."""

from __future__ import annotations

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from serve.http.app import create_app
from serve.routing.active import Active
from serve.routing.router import Router
from serve.start import metrics_on
from serve.telemetry.metrics import Metrics


def app_on(router: Router, metrics: Metrics | None = None) -> FastAPI:
    """Its metrics are the router's observer, where the test looks at them."""
    metrics = metrics or metrics_on(CollectorRegistry()).answers
    return create_app(Active(router, metrics), metrics)
