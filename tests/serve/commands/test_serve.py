"""The socket that the service listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from serve.commands.serve import _listening
from serve.settings import load_settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_does_not_wait_for_acknowledgements(host: str) -> None:
    async def without_delay() -> int:
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            answered.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _listening(load_settings({}, host=host, port=0)) as listening:
            async with await asyncio.start_server(accepted, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
                delay = await answered
                writer.close()
        return delay

    assert asyncio.run(without_delay()) == 1
