"""Asking a running service for what an admin may do, and following it to its end."""

from __future__ import annotations

import getpass
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
from pydantic import SecretStr

from serve.activation.phases import Phase
from taxonomy.command_line import emit
from taxonomy.errors import ActivationFailed, ActivationRefused, EngineFailed

POLL_S: Final = 0.5


def who() -> str:
    """The person at this machine, as the journal names them."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


@contextmanager
def service(url: str, key: SecretStr | None) -> Iterator[httpx.Client]:
    """The service at a URL. Raises EngineFailed where it does not answer."""
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=600) as client:
            yield client
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise EngineFailed(f"{url} did not answer: {error or type(error).__name__}") from error


def checkpoints_of(client: httpx.Client) -> dict[str, Any]:
    """`GET /v1/checkpoints`. Raises ActivationRefused in the service's own words."""
    listed: dict[str, Any] = _accepted(client, client.get("/v1/checkpoints")).json()
    return listed


def activated(url: str, key: SecretStr | None, path: str, body: dict[str, Any], *, as_json: bool) -> None:
    """Have a service activate a checkpoint. Raises ActivationRefused, ActivationFailed or EngineFailed."""
    with service(url, key) as client:
        _ask(client, path, body)
        last = _followed(client)
    emit(last, f"{last['checkpoint']} is active, instead of {last['before']}", as_json=as_json)


def tried(
    url: str,
    key: SecretStr | None,
    *,
    checkpoint: str,
    mode: str,
    share: float,
    without_gate: str | None,
    as_json: bool,
) -> None:
    """Begin a canary or shadow, or change the one under way; returns when the candidate has its share."""
    with service(url, key) as client:
        _ask(client, f"/v1/checkpoints/{checkpoint}/{mode}", {"share": share, "without_gate": without_gate})
        last = _followed(client, Phase.TRYING)
    emit(last, f"{checkpoint}: {mode} of {share:.1%}, beside {last['before']}", as_json=as_json)


def ended(url: str, key: SecretStr | None, checkpoint: str, verb: str, outcome: str, *, as_json: bool) -> None:
    """Promote or stop the candidate, and follow that to its end. Raises ActivationFailed where it ended otherwise."""
    with service(url, key) as client:
        _ask(client, f"/v1/checkpoints/{checkpoint}/{verb}", {})
        last = _followed(client)
    if last["outcome"] != outcome:
        raise ActivationFailed(f"{checkpoint} is {last['outcome']}: {last['reason']}")
    emit(last, f"{checkpoint} is {outcome}; before the trial {last['before']} served", as_json=as_json)


def _ask(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Raises ActivationRefused in the service's own words."""
    given = {name: value for name, value in body.items() if value is not None}
    _accepted(client, client.post(path, json={"by": who(), **given}))


def _accepted(client: httpx.Client, answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise ActivationRefused(f"{client.base_url} refused: {answer.json()['detail']}")
    return answer


def _followed(client: httpx.Client, until: Phase = Phase.IDLE) -> dict[str, Any]:
    """The activation's report at its end, or in a phase; each new phase is reported on the way.

    Raises ActivationFailed.
    """
    phase = ""
    while True:
        last: dict[str, Any] = checkpoints_of(client)["activation"]
        if last["outcome"] == "failed":
            raise ActivationFailed(f"failed while {last['broke_off']}: {last['reason']}; {last['before']} stays")
        if last["outcome"] != "under way" or last["phase"] == until:
            return last
        if last["phase"] != phase:
            phase = last["phase"]
            print(f"route-feedback: {phase} {last['checkpoint']}", file=sys.stderr, flush=True)
        time.sleep(POLL_S)
