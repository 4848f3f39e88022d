"""`route-feedback eval gate`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong


def command(
    candidate: Annotated[Path, typer.Option(help="A checkpoint's directory; it keeps the decision.")],
    baseline: Annotated[Path, typer.Option(help="The active checkpoint's directory.")],
    policy: Annotated[Path | None, typer.Option(help="YAML; what it leaves out is as by default.")] = None,
    json: Json = False,
) -> int:
    """Whether a checkpoint may serve, and why: exit code 0 where it is promoted, 1 where it is held or rejected."""
    from eval.judging.gate import GatePolicy, decide, read_policy
    from serve.settings import load_settings
    from taxonomy.checkpoint.gate_record import KEY_VARIABLE, Verdict
    from taxonomy.checkpoint.manifest import publish, read_manifest, verify

    for folder in (candidate, baseline):
        if not folder.is_dir():
            raise CallWrong(f"there is no checkpoint directory {folder}")
    demanded = read_policy(policy) if policy else GatePolicy()
    key = load_settings(os.environ).gate_key
    manifest, before = read_manifest(candidate), read_manifest(baseline)
    verify(candidate, manifest)
    decision = decide(manifest, before, demanded, datetime.now(UTC)).signed(key.get_secret_value() if key else "")
    publish(candidate, manifest.model_copy(update={"decision": decision}))
    signed = "signed" if decision.signature else f"unsigned: there is no {KEY_VARIABLE} in the environment"
    head = f"{decision.verdict}: {manifest.version} against {before.version} ({signed})"
    lines = [f"  {finding.verdict:<8}{finding.check}: {finding.reason}" for finding in decision.findings]
    value = decision.model_dump(mode="json") | {"signed": bool(decision.signature)}
    emit(value, head, *lines, as_json=json)
    return 0 if decision.verdict is Verdict.PROMOTE else 1
