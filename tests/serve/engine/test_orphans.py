"""What a killed process leaves behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection, wait

from serve.engine.orphans import end_with_parent

SPAWN = multiprocessing.get_context("spawn")


def engine(told: Connection) -> None:
    end_with_parent()
    told.send(os.getpid())
    time.sleep(600)


def service(told: Connection) -> None:
    SPAWN.Process(target=engine, args=(told,)).start()
    time.sleep(600)


def test_a_killed_service_leaves_no_engine_behind() -> None:
    listening, told = SPAWN.Pipe(duplex=False)
    parent = SPAWN.Process(target=service, args=(told,))
    parent.start()
    child = listening.recv()
    told.close()
    os.kill(parent.pid or 0, signal.SIGKILL)
    parent.join()
    # The pipe's other end closes with the last process that holds it, which is the engine.
    assert wait([listening], timeout=30), f"process {child} still runs"
