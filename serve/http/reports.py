"""What a replica does with checkpoints, as it goes out to the admin."""

from __future__ import annotations

from serve.activation.replica import Replica
from serve.http.checkpoint_schemas import ActivationReport, CheckpointList, CheckpointOut, ServingPair, TrialReport
from taxonomy.errors import ActivationRefused


async def checkpoint_list(replica: Replica) -> CheckpointList:
    """The registry and this replica, as they are now. Raises RegistryFailed."""
    now = await replica.registry_state()
    loading = await replica.lease_holder()
    pair = replica.serving
    return CheckpointList(
        replica=replica.name,
        serving=ServingPair(checkpoint=pair.checkpoint, taxonomy=pair.taxonomy.version),
        active=now.active,
        skew=now.active is not None and now.active != pair.checkpoint,
        loading=loading,
        rollback=now.behind[-1] if now.behind else None,
        versions=[
            CheckpointOut(checkpoint=name, state=known.state, taxonomy=known.taxonomy)
            for name, known in now.checkpoints.items()
        ],
        activation=activation_report(replica) if replica.activation else None,
        trial=_trial_report(replica),
    )


def activation_report(replica: Replica) -> ActivationReport:
    """The activation under way or last. Raises ActivationRefused before the first."""
    activation = replica.activation
    if activation is None:
        raise ActivationRefused(f"nothing has been activated at {replica.name} yet")
    return ActivationReport(
        checkpoint=activation.checkpoint or activation.request.checkpoint,
        before=activation.before,
        rollback=activation.request.checkpoint is None,
        phase=replica.phase,
        outcome=activation.outcome,
        broke_off=activation.broke_off,
        reason=activation.reason,
        by=activation.request.by,
        without_gate=activation.request.without_gate,
        seconds=dict(activation.seconds),
    )


def _trial_report(replica: Replica) -> TrialReport | None:
    trial = replica.trial
    if trial is None:
        return None
    return TrialReport(
        checkpoint=trial.candidate,
        mode=trial.plan.mode,
        share=trial.plan.share,
        findings=trial.findings,
        golden=trial.golden,
        stages=trial.stages,
    )
