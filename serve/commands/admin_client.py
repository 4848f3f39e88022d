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


def ask(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Raises ActivationRefused in the service's own words."""
    answer = client.post(path, json={"by": who(), **{k: v for k, v in body.items() if v is not None}})
    if answer.is_error:
        raise ActivationRefused(f"{client.base_url} refused: {answer.json()['detail']}")


def shown(client: httpx.Client) -> dict[str, Any]:
    """`GET /v1/checkpoints`. Raises ActivationRefused in the service's own words."""
    answer = client.get("/v1/checkpoints")
    if answer.is_error:
        raise ActivationRefused(f"{client.base_url} refused: {answer.json()['detail']}")
    listed: dict[str, Any] = answer.json()
    return listed


def followed(client: httpx.Client, until: Phase = Phase.IDLE) -> dict[str, Any]:
    """The activation's report at its end, or in a phase; each new phase is told on the way. Raises ActivationFailed."""
    phase = ""
    while True:
        last: dict[str, Any] = shown(client)["activation"]
        if last["outcome"] == "failed":
            raise ActivationFailed(f"failed while {last['broke_off']}: {last['reason']}; {last['before']} stays")
        if last["outcome"] != "under way" or last["phase"] == until:
            return last
        if last["phase"] != phase:
            phase = last["phase"]
            print(f"route-feedback: {phase} {last['checkpoint']}", file=sys.stderr, flush=True)
        time.sleep(POLL_S)
