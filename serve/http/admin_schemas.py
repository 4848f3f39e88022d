"""What passes over the admin's part of HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve.activation.activation import Activator
from serve.activation.replica import Replica
from taxonomy.errors import RequestInvalid

_LONGEST_BODY: Final = 4096
B = TypeVar("B", bound=BaseModel)


class Asked(BaseModel):
    """The body of what an admin asks for; it may be left out. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field("admin", min_length=1, max_length=200, description="Who asks; it is recorded.")
    without_gate: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the admin who takes on what the gate did not pass."
    )


class AskedTrial(Asked):
    """The body of a canary or shadow."""

    share: float = Field(gt=0, le=1, description="Of this replica's requests: 0.05 is one in twenty.")


async def parsed(request: Request, model: type[B]) -> B:
    """The body. Raises RequestInvalid."""
    body = await request.body()
    if len(body) > _LONGEST_BODY:
        raise RequestInvalid(f"the body may have {_LONGEST_BODY} bytes")
    try:
        return model.model_validate(json.loads(body) if body else {})
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestInvalid(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise RequestInvalid(f"the body is not JSON: {error}") from error


async def listed(replica: Replica) -> dict[str, Any]:
    """`GET /v1/checkpoints`. Raises RegistryFailed."""
    swap = replica.swap
    now = await asyncio.to_thread(swap.registry.read)
    loading = await asyncio.to_thread(replica.lease.look)
    pair = swap.active.router.pair
    return {
        "replica": replica.name,
        "serving": {"checkpoint": pair.checkpoint, "taxonomy": pair.taxonomy.version},
        "active": now.active,
        "skew": now.active is not None and now.active != pair.checkpoint,
        "loading": loading,
        "rollback": now.behind[-1] if now.behind else None,
        "versions": [{"checkpoint": name, **version.model_dump()} for name, version in now.versions.items()],
        "activation": report_json(swap),
        "trial": _trial_json(replica),
    }


def _trial_json(replica: Replica) -> dict[str, Any] | None:
    """The trial under way."""
    trial = replica.trial
    if trial is None:
        return None
    return {
        "checkpoint": trial.wish.checkpoint,
        "mode": trial.plan.mode,
        "share": trial.plan.share,
        "findings": [finding.model_dump(mode="json") for finding in trial.findings],
        "golden": trial.golden and trial.golden.model_dump(),
        "stages": [stage.model_dump(mode="json") for stage in trial.stages],
    }


def report_json(swap: Activator) -> dict[str, Any] | None:
    """The activation under way or last; None before the first."""
    report = swap.report
    if report is None:
        return None
    return {
        "checkpoint": report.checkpoint or report.wish.checkpoint,
        "before": report.before,
        "rollback": report.wish.checkpoint is None,
        "phase": swap.phase,
        "outcome": report.outcome,
        "broke_off": report.broke_off,
        "reason": report.reason,
        "by": report.wish.by,
        "without_gate": report.wish.without_gate,
        "seconds": dict(report.seconds),
    }
