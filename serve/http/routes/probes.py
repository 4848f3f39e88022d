"""What watches the service: whether it lives, whether it takes traffic, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from serve.http.openapi import problems
from serve.http.service import DEAD, Serving, service_of
from taxonomy.errors import EngineFailed

router = APIRouter(tags=["probes"], default_response_class=PlainTextResponse)


@router.get(
    "/livez",
    operation_id="get_liveness",
    summary="Is the process to be left running?",
    responses=problems({503: "The engine has died: the service has to be started again."}),
)
async def livez(request: Request) -> str:
    """The process runs, and its engine with it: what is not alive has to be started again."""
    service = service_of(request)
    if service.is_open and not service.active.router.is_alive:
        raise EngineFailed(DEAD)
    return "ok"


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Does the service take traffic?",
    responses=problems({503: "The service is starting or stopping, or its engine has died."}),
)
async def readyz(_: Serving) -> str:
    """The service takes traffic."""
    return "ok"


@router.get("/metrics", operation_id="get_metrics", summary="What Prometheus scrapes", responses=problems({}))
def metrics(request: Request) -> Response:
    """Every metric, in the format that the scraper asks for."""
    registry = service_of(request).metrics.registry
    if "application/openmetrics-text" in request.headers.get("accept", ""):
        # Our names need no escaping; the library's own choice would write vllm:this as vllm_this.
        text = openmetrics.generate_latest(registry, escaping=openmetrics.ALLOWUTF8)  # type: ignore[no-untyped-call]
        return Response(text, headers={"Content-Type": openmetrics.CONTENT_TYPE_LATEST})
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
