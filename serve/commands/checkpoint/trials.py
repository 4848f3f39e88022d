"""`route-feedback checkpoint trials`."""

from __future__ import annotations

from serve.commands.options import RegistryPlace, SettingsFile, settings_of
from serve.commands.registry import registry_for
from serve.trials.evidence import Evidence, read_evidence
from taxonomy.command_line import Json, emit, table


def command(registry: RegistryPlace = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Trials that have ended, with their evidence."""
    known = read_evidence(registry_for(settings_of(settings, registry=registry)))
    columns = ["ended", "candidate", "last stage", "decision", "the policy says"]
    shown = table(columns, list(map(_row, known))) if known else "no trials yet"
    emit({"trials": known}, shown, as_json=json)


def _row(evidence: Evidence) -> tuple[str, ...]:
    last = evidence.stages[-1]
    stage = f"{last.mode} of {last.share:.1%}, {last.candidate.requests} requests"
    decision = f"{evidence.decision} by {evidence.decided_by} ({evidence.reason})"
    return evidence.ended, evidence.candidate, stage, decision, evidence.verdict
