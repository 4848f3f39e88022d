"""What the routes work with, and the dependencies by which they come by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from serve.activation.replica import Replica
from serve.http.admin import Admin
from serve.routing.active import Active
from serve.telemetry.metrics import Metrics
from taxonomy.errors import ActivationRefused, NotReady

DEAD: Final = "the engine has died; the service has to be started again"


@dataclass
class Service:
    """One running service. is_open: requests are taken, which is so from its start to the beginning of its end."""

    active: Active
    metrics: Metrics
    admin: Admin
    is_open: bool = False


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


async def serving(request: Request) -> Active:
    """What answers comments. Raises NotReady."""
    service = service_of(request)
    if not service.is_open:
        raise NotReady("the service is starting or stopping")
    if not service.active.router.is_alive:
        raise NotReady(DEAD)
    return service.active


async def replica(request: Request) -> Replica:
    """What changes checkpoints here. Raises ActivationRefused where there is no registry."""
    admin = service_of(request).admin
    if admin.replica is None:
        raise ActivationRefused("this service has no registry; set ROUTE_FEEDBACK_REGISTRY to a directory or a URL")
    return admin.replica


Serving = Annotated[Active, Depends(serving)]
ThisReplica = Annotated[Replica, Depends(replica)]
