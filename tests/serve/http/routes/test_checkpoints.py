"""The admin's routes: who may use them, what they answer, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from pydantic import SecretStr

from route_feedback import main
from serve.activation.activation import Activator
from serve.http.admin import Admin
from serve.http.app import create_app
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import first_pair
from taxonomy.errors import CallWrong, RegistryFailed
from tests.support.checkpoints import WEIGHTS, root_of
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints

KEY = "a key for the tests"
AS_ADMIN = {"Authorization": f"Bearer {KEY}"}


def client_of(two: TwoCheckpoints, swap: Activator | None, key: str | None = KEY) -> TestClient:
    admin = Admin(two.replica(swap) if swap else None, SecretStr(key) if key else None)
    return TestClient(
        create_app(two.active, two.metrics.answers, admin), headers=AS_ADMIN, raise_server_exceptions=False
    )


@pytest.fixture
def admin(two: TwoCheckpoints) -> Iterator[TestClient]:
    with client_of(two, two.activator) as client:
        yield client


def ended(client: TestClient) -> dict[str, Any]:
    while True:
        last: dict[str, Any] = client.get("/v1/checkpoints").json()["activation"]
        if last["outcome"] != "under way":
            return last
        time.sleep(0.01)


def test_a_version_is_activated_and_rolled_back(admin: TestClient, two: TwoCheckpoints) -> None:
    begun = admin.post(f"/v1/checkpoints/{two.second}/activate", json={"by": "ada"})
    assert begun.status_code == 202, begun.text
    assert begun.json()["checkpoint"] == two.second
    assert ended(admin)["outcome"] == "active"
    listed = admin.get("/v1/checkpoints").json()
    assert (listed["serving"]["checkpoint"], listed["active"], listed["rollback"]) == (
        two.second,
        two.second,
        two.first,
    )
    assert {v["checkpoint"]: v["state"] for v in listed["versions"]} == {two.first: "retired", two.second: "active"}
    assert admin.post("/v1/route", json={"comment": COMMENT}).json()["checkpoint"] == two.second
    assert admin.post("/v1/checkpoints/rollback").status_code == 202
    assert ended(admin)["checkpoint"] == two.first
    assert admin.post("/v1/route", json={"comment": COMMENT}).json()["checkpoint"] == two.first
    assert [entry.by for entry in two.registry.journal()[-2:]] == ["ada", "admin"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {b"Authorization": b"Bearer wrong"},
        {b"Authorization": b"Bearer "},
        {b"Authorization": KEY.encode()},
        {b"Authorization": b"Basic " + KEY.encode()},
        {b"Authorization": b"Bearer \xff\xfe"},
    ],
)
def test_without_the_key_nothing_is_told_or_done(two: TwoCheckpoints, given: dict[bytes, bytes]) -> None:
    with TestClient(create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))) as client:
        for method, path in (
            ("GET", "/v1/checkpoints"),
            ("POST", f"/v1/checkpoints/{two.second}/activate"),
            ("POST", "/v1/checkpoints/rollback"),
        ):
            answer = client.request(method, path, headers=given)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert two.first not in answer.text
    assert two.phases == []


def test_where_no_key_is_set_nobody_may(two: TwoCheckpoints) -> None:
    with client_of(two, two.activator, key=None) as client:
        answer = client.get("/v1/checkpoints")
    assert (answer.status_code, "ROUTE_FEEDBACK_ADMIN_KEY" in answer.json()["detail"]) == (403, True)


def test_where_there_is_no_registry_it_says_how_to_have_one(two: TwoCheckpoints) -> None:
    with client_of(two, None) as client:
        answer = client.get("/v1/checkpoints")
    assert (answer.status_code, "ROUTE_FEEDBACK_REGISTRY" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b'{"gate": false}', "gate"),
        (b'{"by": ""}', "by"),
        (b"[" * 4000, "nested"),
        (b'{"by": "\\ud800"}', "by: holds a lone surrogate"),
        (b'{"by": "ada", "by": "bob"}', "by: stands twice"),
        (b'{"by": ' + b"1" * 4000 + b"}", "by: is not text"),
        (b" " * 5000, "4096"),
    ],
)
def test_a_bad_body_is_named(admin: TestClient, two: TwoCheckpoints, body: bytes, said: str) -> None:
    answer = admin.post(f"/v1/checkpoints/{two.second}/activate", content=body)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert two.phases == []


def test_what_is_refused_says_why_at_once(admin: TestClient, two: TwoCheckpoints) -> None:
    unknown = admin.post("/v1/checkpoints/ck_none/activate")
    assert (unknown.status_code, unknown.json()["title"]) == (404, "Checkpoint unknown")
    again = admin.post(f"/v1/checkpoints/{two.first}/activate")
    assert (again.status_code, "active already" in again.json()["detail"]) == (409, True)
    back = admin.post("/v1/checkpoints/rollback")
    assert (back.status_code, "nothing to roll back to" in back.json()["detail"]) == (409, True)
    assert admin.post("/v1/route", json={"comment": COMMENT}).json()["checkpoint"] == two.first


def test_a_failure_after_the_answer_is_told_by_the_list(two: TwoCheckpoints) -> None:
    async def never(pair: Pair) -> Router:
        raise TimeoutError(f"no engine for {pair.checkpoint}")

    with client_of(two, two.activator_on(never)) as client:
        client.post(f"/v1/checkpoints/{two.second}/activate")
        last = ended(client)
        assert (last["outcome"], last["broke_off"]) == ("failed", "loading")
        assert last["reason"] == f"no engine for {two.second}"
        assert client.get("/v1/checkpoints").json()["serving"]["checkpoint"] == two.first


def test_a_second_activation_meanwhile_is_a_409(two: TwoCheckpoints) -> None:
    go_on = threading.Event()

    async def held(pair: Pair) -> Router:
        await asyncio.to_thread(go_on.wait)
        return await two.load(pair)

    with client_of(two, two.activator_on(held)) as client:
        assert client.post(f"/v1/checkpoints/{two.second}/activate").json()["phase"] == "loading"
        second = client.post("/v1/checkpoints/rollback")
        go_on.set()
        assert (second.status_code, "is being activated" in second.json()["detail"]) == (409, True)
        assert ended(client)["outcome"] == "active"


def test_a_registry_that_vanished_is_a_503_and_the_service_goes_on(admin: TestClient, two: TwoCheckpoints) -> None:
    root_of(two.registry).rename(root_of(two.registry).with_name("gone"))
    assert admin.get("/v1/checkpoints").status_code == 503
    assert admin.post(f"/v1/checkpoints/{two.second}/activate").status_code == 503
    assert admin.post("/v1/route", json={"comment": COMMENT}).json()["checkpoint"] == two.first


def test_a_service_that_stops_in_the_middle_closes_both_engines(two: TwoCheckpoints) -> None:
    async def load(pair: Pair) -> Router:
        router = await two.load(pair)
        two.engines[pair.checkpoint].go_on.clear()
        return router

    with client_of(two, two.activator_on(load)) as client:
        assert client.post(f"/v1/checkpoints/{two.second}/activate").status_code == 202
    assert all(engine.closed for engine in two.engines.values())


@pytest.fixture
def served(two: TwoCheckpoints) -> Iterator[str]:
    """The address of the service over a real socket."""
    app = create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_command_asks_a_running_service_and_follows_it_to_the_end(
    served: str, two: TwoCheckpoints, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROUTE_FEEDBACK_ADMIN_KEY", raising=False)
    assert main(["checkpoint", "activate", two.second, "--url", served]) == 1
    assert "takes the admin key" in capsys.readouterr().err
    monkeypatch.setenv("ROUTE_FEEDBACK_ADMIN_KEY", KEY)
    assert main(["checkpoint", "activate", two.second, "--url", served, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "active"
    assert two.registry.read().active == two.second
    assert main(["checkpoint", "rollback", "--url", served]) == 0
    assert f"{two.first} is active, instead of {two.second}" in capsys.readouterr().out
    weights = two.registry.folder(two.second) / WEIGHTS
    weights.write_bytes(b"")
    assert main(["checkpoint", "activate", two.second, "--url", served]) == 1
    assert "model.safetensors is altered" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "rollback", "--url", "http://127.0.0.1:9"]) == 1
    assert "http://127.0.0.1:9 did not answer" in capsys.readouterr().err


def test_a_service_starts_on_the_registrys_active_version(two: TwoCheckpoints) -> None:
    settings = two.settings.model_copy(update={"registry": str(root_of(two.registry))})
    first = first_pair(settings)
    assert (first.pair.checkpoint, first.fingerprint) == (two.first, two.registry.manifest(two.first).fingerprint)
    empty = root_of(two.registry).with_name("empty")
    empty.mkdir()
    first = first_pair(settings.model_copy(update={"registry": str(empty)}))
    assert (first.pair.model.path, first.fingerprint) == (settings.checkpoint, None)
    with pytest.raises(RegistryFailed):
        first_pair(settings.model_copy(update={"registry": str(empty / "gone")}))


def test_the_settings_of_a_swap_are_checked(tmp_path: Path) -> None:
    given = {"ROUTE_FEEDBACK_ACTIVATION_LIMITS_S": '{"loading": 60}', "ROUTE_FEEDBACK_REGISTRY": str(tmp_path)}
    settings = load_settings(given | {"ROUTE_FEEDBACK_ADMIN_KEY": KEY})
    assert settings.activation_limits_s == {"loading": 60}
    assert KEY not in repr(settings)
    for name, value in (
        ("ACTIVATION_LIMITS_S", '{"loding": 60}'),
        ("ACTIVATION_LIMITS_S", '{"loading": 0}'),
        ("ADMIN_KEY", "short"),
    ):
        with pytest.raises(CallWrong, match=f"ROUTE_FEEDBACK_{name}"):
            load_settings({f"ROUTE_FEEDBACK_{name}": value})
