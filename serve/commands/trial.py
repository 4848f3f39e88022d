"""`route-feedback checkpoint canary|shadow|promote|stop|trial|trials`: a candidate beside the active version."""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import SecretStr

from serve.activation.phases import Phase
from serve.commands.admin_client import ask, followed, service, shown
from serve.registry.registry import Registry
from taxonomy import command_line
from taxonomy.errors import ActivationFailed


def tried(given: argparse.Namespace, key: SecretStr | None, mode: str) -> int:
    """Begin a canary or shadow, or change the one under way; returns when the candidate has its share."""
    with service(given.url, key) as client:
        body = {"share": given.share, "without_gate": given.without_gate}
        ask(client, f"/v1/checkpoints/{given.id}/{mode}", body)
        last = followed(client, Phase.TRYING)
    text = f"{given.id}: {mode} of {given.share:.1%}, beside {last['before']}"
    command_line.tell(last, text, as_json=given.json)
    return 0


def ended(given: argparse.Namespace, key: SecretStr | None, word: str) -> int:
    """Promote or stop the candidate, and follow that to its end. Raises ActivationFailed where it ended otherwise."""
    with service(given.url, key) as client:
        ask(client, f"/v1/checkpoints/{given.id}/{word}", {})
        last = followed(client)
    if last["outcome"] != {"promote": "active", "stop": "stopped"}[word]:
        raise ActivationFailed(f"{given.id} is {last['outcome']}: {last['reason']}")
    text = f"{given.id} is {last['outcome']}; before the trial {last['before']} served"
    command_line.tell(last, text, as_json=given.json)
    return 0


def trial(given: argparse.Namespace, key: SecretStr | None) -> int:
    """What the trial under way has shown so far."""
    with service(given.url, key) as client:
        now = shown(client)
    running: dict[str, Any] | None = now["trial"]
    if running is None:
        command_line.tell(
            {"replica": now["replica"], "trial": None}, f"no trial at {now['replica']}", as_json=given.json
        )
        return 0
    head = f"{running['checkpoint']}: {running['mode']} of {running['share']:.1%} at {now['replica']}"
    lines = [head, *(f"  {f['check']:<18} {f['verdict']:<8} {f['reason']}" for f in running["findings"])]
    command_line.tell({"replica": now["replica"], "trial": running}, "\n".join(lines), as_json=given.json)
    return 0


def trials(given: argparse.Namespace, registry: Registry) -> int:
    """Every trial that has ended, with its evidence."""
    from serve.trials.evidence import kept  # noqa: PLC0415 (transformers, behind it, takes seconds to import)

    known = [evidence.model_dump(mode="json") for evidence in kept(registry)]
    command_line.tell({"trials": known}, "\n".join(map(_line, known)) or "no trials yet", as_json=given.json)
    return 0


def _line(evidence: dict[str, Any]) -> str:
    last = evidence["stages"][-1]
    had = f"{last['mode']} of {last['share']:.1%}, {last['candidate']['requests']} requests"
    who = f"{evidence['decision']} by {evidence['decided_by']} ({evidence['reason']})"
    return f"{evidence['ended']}  {evidence['candidate']}  {had}: {who}; the policy says {evidence['verdict']}"
