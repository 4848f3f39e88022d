"""Which checkpoints there are, and which of them serves: for the admin alone."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request

from serve.activation.activation import ActivationRequest
from serve.activation.replica import Replica
from serve.http.auth import check_admin_key
from serve.http.bodies import admin_body
from serve.http.checkpoint_schemas import ActivationBody, ActivationReport, CheckpointList
from serve.http.openapi import problems, request_body
from serve.http.reports import activation_report, checkpoint_list
from serve.http.service import ThisReplica, service_of
from taxonomy.labels import CheckpointId

_NOT_ALLOWED: Final = "No admin key, the wrong one, or the service has none set."
_NO_REGISTRY: Final = "The registry cannot be reached now."
ADMIN_PROBLEMS: Final = problems(
    {
        400: "The body cannot be read.",
        403: _NOT_ALLOWED,
        404: "The registry has no such checkpoint.",
        409: "It may not be done, or something else is under way; the active checkpoint stays.",
        503: _NO_REGISTRY,
    }
)
router = APIRouter(prefix="/v1/checkpoints", tags=["checkpoints"], dependencies=[Depends(check_admin_key)])
Sent = Annotated[ActivationBody, Depends(admin_body(ActivationBody))]


@router.get(
    "",
    operation_id="list_checkpoints",
    summary="All checkpoints, and what this replica does with them",
    responses=problems({403: _NOT_ALLOWED, 409: "The service has no registry.", 503: _NO_REGISTRY}),
)
async def list_checkpoints(replica: ThisReplica) -> CheckpointList:
    """Every checkpoint with its state, what this replica serves, and the activation or trial under way or last."""
    return await checkpoint_list(replica)


@router.post(
    "/rollback",
    operation_id="roll_back",
    summary="Activate what served before",
    status_code=HTTPStatus.ACCEPTED,
    responses=ADMIN_PROBLEMS,
    openapi_extra=request_body(ActivationBody, required=False),
)
async def roll_back(request: Request, replica: ThisReplica, sent: Sent) -> ActivationReport:
    """As an activation, back to the checkpoint that served before. 202 once nothing speaks against it."""
    return await _activated(request, replica, None, sent)


@router.post(
    "/{checkpoint}/activate",
    operation_id="activate_checkpoint",
    summary="Activate a checkpoint",
    status_code=HTTPStatus.ACCEPTED,
    responses=ADMIN_PROBLEMS,
    openapi_extra=request_body(ActivationBody, required=False),
)
async def activate(request: Request, replica: ThisReplica, checkpoint: CheckpointId, sent: Sent) -> ActivationReport:
    """Load a checkpoint beside the active one, verify it, shift the traffic. 202 once nothing speaks against it.

    How it goes on is told by `GET /v1/checkpoints`.
    """
    return await _activated(request, replica, checkpoint, sent)


async def _activated(
    request: Request, replica: Replica, checkpoint: CheckpointId | None, sent: ActivationBody
) -> ActivationReport:
    checked = asyncio.Event()
    asked = ActivationRequest(checkpoint, sent.by, sent.without_gate)
    await service_of(request).admin.start(replica.activate(asked, checked), checked)
    return activation_report(replica)
