"""The server under the app: the socket that it listens on, and how it ends."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

from serve.http.schemas import EXAMPLE
from taxonomy.errors import CallWrong

DRAIN_S: Final = 30


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address. Raises CallWrong where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, so that asyncio switches off Nagle's delay: with it, an answer waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CallWrong(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from error
    return listening


class Server(uvicorn.Server):
    """A server that says when it listens, and does not outlive its engine."""

    def __init__(self, app: FastAPI, announcement: str, is_alive: Callable[[], bool]) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=DRAIN_S
            )
        )
        self._announcement = announcement
        self._is_alive = is_alive
        self.has_lost_engine = False

    async def on_tick(self, counter: int) -> bool:
        self.has_lost_engine = not self._is_alive()
        return await super().on_tick(counter) or self.has_lost_engine

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, file=sys.stderr, flush=True)


def announcement(address: str, checkpoint: str, taxonomy: str) -> str:
    """That the service is ready, and what to ask it."""
    body = json.dumps({"comment": EXAMPLE})
    return (
        f"route-feedback: ready at {address} with {checkpoint} on {taxonomy}\n\n"
        f"  curl -s {address}/v1/route -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
    )
