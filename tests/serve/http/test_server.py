"""The socket that the service listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from serve.http.server import listen
from taxonomy.errors import CallWrong


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_does_not_wait_for_acknowledgements(host: str) -> None:
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        answered.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listen(host, 0) as listening:
        async with await asyncio.start_server(accepted, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            delay = await answered
            writer.close()
    assert delay == 1


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(CallWrong, match=r"cannot listen on 127\.0\.0\.1:\d+ \(Address already in use\); choose"):
            listen("127.0.0.1", taken.getsockname()[1])
