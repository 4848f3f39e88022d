"""Several services as processes of their own, on one registry."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.activation.replica_process import serve
from tests.support.checkpoints import root_of
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints

AS_ADMIN = {"Authorization": "Bearer a key for the tests"}
LONGEST_S = 300
# Each process is forked from one that has imported everything, which takes longer than the tests.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.serve.activation.replica_process"])


class ReplicaProcess:
    """One replica's process, and a client of it."""

    def __init__(self, two: TwoCheckpoints, name: str, load_s: float) -> None:
        self._address, address = PROCESSES.Pipe(duplex=False)
        given = (root_of(two.registry), two.settings.cache, name, load_s, address)
        self.process = PROCESSES.Process(target=serve, args=given)
        self.process.start()

    def ready(self) -> None:
        self.http = httpx.Client(base_url=self._address.recv(), headers=AS_ADMIN, timeout=60)

    @property
    def listed(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/v1/checkpoints").raise_for_status().json()
        return answer

    @property
    def answers_with(self) -> str:
        answer: str = self.http.post("/v1/route", json={"comment": COMMENT}).raise_for_status().json()["checkpoint"]
        return answer

    def metric(self, name: str) -> float:
        lines = self.http.get("/metrics").text.splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"route_feedback_{name} ")))


Start = Callable[..., list[ReplicaProcess]]


@pytest.fixture
def start(two: TwoCheckpoints) -> Iterator[Start]:
    started: list[ReplicaProcess] = []

    def start(*names: str, load_s: float = 0) -> list[ReplicaProcess]:
        made = [ReplicaProcess(two, name, load_s) for name in names]
        started.extend(made)
        for service in made:
            service.ready()
        return made

    yield start
    for service in started:
        service.process.kill()
        service.process.join()


def until(seen: Callable[[], bool]) -> None:
    over = time.monotonic() + LONGEST_S
    while not seen():
        assert time.monotonic() < over
        time.sleep(0.05)


def test_an_activation_at_one_replica_is_followed_by_all_and_no_request_fails(
    two: TwoCheckpoints, start: Start, tmp_path: Path
) -> None:
    services = start("a", "b", "c", load_s=0.5)
    over = threading.Event()
    answered: list[str] = []

    def client(service: ReplicaProcess) -> None:
        while not over.is_set():
            answered.append(service.answers_with)
            time.sleep(0.02)

    clients = [threading.Thread(target=client, args=(service,)) for service in services]
    for thread in clients:
        thread.start()
    assert services[0].http.post(f"/v1/checkpoints/{two.second}/activate").status_code == 202

    until(lambda: all(service.listed["serving"]["checkpoint"] == two.second for service in services))
    over.set()
    for thread in clients:
        thread.join()
    loads = (tmp_path / "loads").read_text().split()
    assert loads[1::2] == [f"-{start[1:]}" for start in loads[::2]]
    assert sorted(loads[::2]) == ["+a", "+b", "+c"], "each once, one at a time"
    assert set(answered) == {two.first, two.second}
    assert [service.answers_with for service in services] == [two.second] * 3
    assert [service.metric("checkpoint_skew") for service in services] == [0, 0, 0]
    assert [entry.did for entry in two.registry.journal()].count("activate") == 2, "following is no change"


def test_a_replica_that_starts_late_comes_up_on_the_active_pair(two: TwoCheckpoints, start: Start) -> None:
    two.registry.activate(two.second, two.first, "while nobody ran")
    (late,) = start("late")
    assert late.answers_with == two.second
    assert (late.listed["serving"]["checkpoint"], late.listed["skew"]) == (two.second, False)


def test_a_replica_killed_while_it_loads_holds_up_the_others_only_for_the_leases_time(
    two: TwoCheckpoints, start: Start, tmp_path: Path
) -> None:
    (victim,) = start("victim", load_s=600)
    (other,) = start("other")
    assert victim.http.post(f"/v1/checkpoints/{two.second}/activate").status_code == 202
    until((tmp_path / "loads").exists)
    until(lambda: other.listed["loading"] == "victim")
    refused = other.http.post(f"/v1/checkpoints/{two.second}/activate")
    assert (refused.status_code, "victim is loading" in refused.json()["detail"]) == (409, True)
    victim.process.kill()
    victim.process.join()
    until(lambda: other.listed["loading"] is None)
    assert other.http.post(f"/v1/checkpoints/{two.second}/activate").status_code == 202
    until(lambda: other.listed["serving"]["checkpoint"] == two.second)
    assert two.registry.read().active == two.second


def test_the_skew_of_a_replica_that_cannot_follow_is_seen(two: TwoCheckpoints, start: Start) -> None:
    one, other = start("one", "other")
    (two.registry.folder(two.second) / "model.safetensors").write_bytes(b"")
    two.registry.activate(two.second, two.first, "without looking")
    until(lambda: one.metric("checkpoint_skew") == 1 and other.metric("checkpoint_skew") == 1)
    assert (one.listed["skew"], one.listed["serving"]["checkpoint"]) == (True, two.first)
    until(lambda: "model.safetensors is altered" in str(one.listed["activation"]))
    assert one.answers_with == two.first
