"""A candidate beside the active checkpoint, on a share of this replica's requests: for the admin alone."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from serve.activation.replica import Replica
from serve.http.auth import check_admin_key
from serve.http.bodies import admin_body
from serve.http.checkpoint_schemas import ActivationBody, ActivationReport, TrialBody
from serve.http.openapi import request_body
from serve.http.reports import activation_report
from serve.http.routes.checkpoints import ADMIN_PROBLEMS
from serve.http.service import ThisReplica, service_of
from serve.telemetry.trial_metrics import Mode
from serve.trials.trial import TrialPlan, TrialRequest
from taxonomy.labels import CheckpointId

router = APIRouter(prefix="/v1/checkpoints", tags=["trials"], dependencies=[Depends(check_admin_key)])
Sent = Annotated[ActivationBody, Depends(admin_body(ActivationBody))]
SentTrial = Annotated[TrialBody, Depends(admin_body(TrialBody))]
_OPTIONS: Final[dict[str, Any]] = {"status_code": HTTPStatus.ACCEPTED, "responses": ADMIN_PROBLEMS}
_BODY: Final = request_body(ActivationBody, required=False)
_TRIAL_BODY: Final = request_body(TrialBody, required=True)


@router.post(
    "/{checkpoint}/canary",
    operation_id="start_canary",
    summary="Let a candidate answer a share of the requests",
    openapi_extra=_TRIAL_BODY,
    **_OPTIONS,
)
async def canary(request: Request, replica: ThisReplica, checkpoint: CheckpointId, sent: SentTrial) -> ActivationReport:
    """Load a checkpoint beside the active one, verify it, and give it a share of this replica's requests.

    A trial of it that is under way takes this mode and share.
    """
    return await _tried(request, replica, checkpoint, "canary", sent)


@router.post(
    "/{checkpoint}/shadow",
    operation_id="start_shadow",
    summary="Let a candidate answer copies of a share of the requests",
    openapi_extra=_TRIAL_BODY,
    **_OPTIONS,
)
async def shadow(request: Request, replica: ThisReplica, checkpoint: CheckpointId, sent: SentTrial) -> ActivationReport:
    """The same with copies of a share of the requests; no customer gets its answers."""
    return await _tried(request, replica, checkpoint, "shadow", sent)


@router.post(
    "/{checkpoint}/promote",
    operation_id="promote_candidate",
    summary="Make the candidate on trial the active checkpoint",
    openapi_extra=_BODY,
    **_OPTIONS,
)
async def promote(replica: ThisReplica, checkpoint: CheckpointId, sent: Sent) -> ActivationReport:
    """Make the checkpoint on trial the active one."""
    replica.promote(checkpoint, sent.by)
    return activation_report(replica)


@router.post(
    "/{checkpoint}/stop",
    operation_id="stop_trial",
    summary="End a trial",
    openapi_extra=_BODY,
    **_OPTIONS,
)
async def stop(replica: ThisReplica, checkpoint: CheckpointId, sent: Sent) -> ActivationReport:
    """End a trial; the active checkpoint stays."""
    replica.stop(checkpoint, sent.by)
    return activation_report(replica)


async def _tried(
    request: Request, replica: Replica, checkpoint: CheckpointId, mode: Mode, sent: TrialBody
) -> ActivationReport:
    plan = TrialPlan(mode, sent.share)
    if replica.trial and replica.trial.candidate == checkpoint:
        replica.trial.change(plan)
        return activation_report(replica)
    checked = asyncio.Event()
    trial = TrialRequest(checkpoint, sent.by, plan, sent.without_gate)
    await service_of(request).admin.start(replica.try_out(trial, checked), checked)
    return activation_report(replica)
