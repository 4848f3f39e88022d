"""Trials over HTTP and by command: begun, read, promoted, stopped, and refused with the reason."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi.testclient import TestClient
from pydantic import SecretStr

from route_feedback import main
from serve.http.app import create_app
from serve.http.routes.checkpoints import Admin
from serve.trials.evidence import kept
from tests.support.checkpoints import root_of
from tests.support.two_checkpoints import COMMENT, House

KEY = "a key for the tests"
IDS = [f"review-{number}" for number in range(40)]


@pytest.fixture
def admin(house: House) -> Iterator[TestClient]:
    app = create_app(house.active, Admin(house.replica(), SecretStr(KEY)))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


def begun(client: TestClient, house: House, mode: str, share: float) -> None:
    answer = client.post(f"/v1/checkpoints/{house.two}/{mode}", json={"share": share, "by": "ada"})
    assert answer.status_code == 202, answer.text
    while client.get("/v1/checkpoints").json()["activation"]["phase"] != "trying":
        time.sleep(0.01)


def over(client: TestClient) -> str:
    """How it ended."""
    while (last := client.get("/v1/checkpoints").json()["activation"])["outcome"] == "under way":
        time.sleep(0.01)
    outcome: str = last["outcome"]
    return outcome


def asked(client: TestClient, **request: str) -> str:
    answer = client.post("/v1/route", json={"comment": COMMENT} | request)
    checkpoint: str = answer.raise_for_status().json()["checkpoint"]
    return checkpoint


def test_a_canary_is_begun_read_and_promoted(admin: TestClient, house: House) -> None:
    begun(admin, house, "canary", 0.5)
    first = [asked(admin, id=name) for name in IDS]
    assert set(first) == {house.one, house.two}
    assert [asked(admin, id=name) for name in IDS] == first
    trial = admin.get("/v1/checkpoints").json()["trial"]
    assert (trial["checkpoint"], trial["mode"], trial["share"]) == (house.two, "canary", 0.5)
    assert trial["stages"][0]["candidate"]["requests"] == 2 * first.count(house.two)
    assert {finding["check"] for finding in trial["findings"]} == {"requests", "errors", "violations", "latency_ratio"}
    assert admin.post(f"/v1/checkpoints/{house.two}/promote", json={"by": "bob"}).status_code == 202
    assert over(admin) == "active"
    listed = admin.get("/v1/checkpoints").json()
    assert (listed["serving"]["checkpoint"], listed["active"], listed["trial"]) == (house.two, house.two, None)
    assert [entry.by for entry in house.registry.journal()[-1:]] == ["ada"]
    assert [evidence.decided_by for evidence in kept(house.registry)] == ["bob"]


def test_without_an_id_the_same_comment_goes_the_same_way(admin: TestClient, house: House) -> None:
    begun(admin, house, "canary", 0.5)
    for text in IDS:
        assert len({asked(admin, comment=text) for _ in range(3)}) == 1
    assert {asked(admin, comment=text) for text in IDS} == {house.one, house.two}


def test_a_shadow_becomes_a_canary_and_is_stopped(admin: TestClient, house: House) -> None:
    begun(admin, house, "shadow", 1.0)
    assert {asked(admin, id=name) for name in IDS} == {house.one}
    begun(admin, house, "canary", 1.0)
    assert asked(admin, id="review-1") == house.two
    assert admin.post(f"/v1/checkpoints/{house.two}/stop").status_code == 202
    assert over(admin) == "stopped"
    assert asked(admin, id="review-1") == house.one
    assert [stage.mode for stage in kept(house.registry)[0].stages] == ["shadow", "canary"]


@pytest.mark.parametrize("body", ["{}", '{"share": 0}', '{"share": 1.5}', '{"share": "x"}', '{"share": 0.1, "to": 1}'])
def test_a_share_that_is_none_is_refused(admin: TestClient, house: House, body: str) -> None:
    answer = admin.post(f"/v1/checkpoints/{house.two}/canary", content=body)
    assert answer.status_code == 400
    assert house.phases == []


def test_what_cannot_be_done_says_why(admin: TestClient, house: House) -> None:
    none = admin.post(f"/v1/checkpoints/{house.two}/promote")
    assert (none.status_code, "is not on trial" in none.json()["detail"]) == (409, True)
    serving = admin.post(f"/v1/checkpoints/{house.one}/canary", json={"share": 0.1})
    assert (serving.status_code, "active already" in serving.json()["detail"]) == (409, True)
    begun(admin, house, "canary", 0.1)
    for path in (f"{house.two}/activate", "rollback"):
        answer = admin.post(f"/v1/checkpoints/{path}")
        assert (answer.status_code, "promote or stop it first" in answer.json()["detail"]) == (409, True)


def test_without_the_key_no_trial_is_begun_or_ended(house: House) -> None:
    with TestClient(create_app(house.active, Admin(house.replica(), SecretStr(KEY)))) as client:
        for word in ("canary", "shadow", "promote", "stop"):
            assert client.post(f"/v1/checkpoints/{house.two}/{word}", json={"share": 1.0}).status_code == 403
    assert house.phases == []


def test_a_service_that_stops_during_a_trial_closes_both_engines(house: House) -> None:
    app = create_app(house.active, Admin(house.replica(), SecretStr(KEY)))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        begun(client, house, "canary", 0.5)
    assert all(engine.closed for engine in house.engines.values())


@pytest.fixture
def served(house: House) -> Iterator[str]:
    """The address of the service over a real socket."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(house.active, Admin(house.replica(), SecretStr(KEY))), port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_commands_do_the_same_at_a_running_service(
    served: str, house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> tuple[int, str]:
        code = main(["checkpoint", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    monkeypatch.setenv("ROUTE_FEEDBACK_ADMIN_KEY", KEY)
    at = ("--url", served)
    assert command("trial", *at) == (0, "no trial at one/1\n")
    code, said = command("shadow", house.two, "--share", "0.25", *at)
    assert (code, "shadow of 25.0%" in said) == (0, True), said
    assert command("canary", house.two, "--share", "0.5", *at, "--json")[0] == 0
    code, said = command("trial", *at)
    assert (code, "0 of 500 requests" in said) == (0, True), said
    code, said = command("stop", house.two, *at)
    assert (code, f"{house.two} is stopped" in said) == (0, True), said
    assert command("canary", house.two, "--share", "0.5", *at)[0] == 0
    code, said = command("promote", house.two, *at)
    assert (code, f"{house.two} is active; before the trial {house.one} served" in said) == (0, True), said
    code, said = command("promote", house.two, *at)
    assert (code, "is not on trial" in said) == (1, True), said
    code, said = command("trials", "--registry", str(root_of(house.registry)))
    assert (code, said.count("\n"), "stopped by" in said, "promoted by" in said) == (0, 2, True, True), said
    code, said = command("trials", "--registry", str(root_of(house.registry)), "--json")
    assert [trial["decision"] for trial in json.loads(said)["trials"]] == ["stopped", "promoted"]
    assert command("canary", house.two, *at)[0] == 2
