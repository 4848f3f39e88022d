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
from serve.http.admin import Admin
from serve.http.app import create_app
from serve.trials.evidence import read_evidence
from tests.support.checkpoints import root_of
from tests.support.two_checkpoints import COMMENT, TwoCheckpoints

KEY = "a key for the tests"
IDS = [f"review-{number}" for number in range(40)]


@pytest.fixture
def admin(two: TwoCheckpoints) -> Iterator[TestClient]:
    app = create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


def begun(client: TestClient, two: TwoCheckpoints, mode: str, share: float) -> None:
    answer = client.post(f"/v1/checkpoints/{two.second}/{mode}", json={"share": share, "by": "ada"})
    assert answer.status_code == 202, answer.text
    # In its phase it is tried only once the lease is given up: what has begun is the share.
    while f'route_feedback_trial_share{{mode="{mode}"}} {share}' not in client.get("/metrics").text:
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


def test_a_canary_is_begun_read_and_promoted(admin: TestClient, two: TwoCheckpoints) -> None:
    begun(admin, two, "canary", 0.5)
    first = [asked(admin, id=name) for name in IDS]
    assert set(first) == {two.first, two.second}
    assert [asked(admin, id=name) for name in IDS] == first
    trial = admin.get("/v1/checkpoints").json()["trial"]
    assert (trial["checkpoint"], trial["mode"], trial["share"]) == (two.second, "canary", 0.5)
    assert trial["stages"][0]["candidate"]["requests"] == 2 * first.count(two.second)
    assert {finding["check"] for finding in trial["findings"]} == {"requests", "errors", "violations", "latency_ratio"}
    assert admin.post(f"/v1/checkpoints/{two.second}/promote", json={"by": "bob"}).status_code == 202
    assert over(admin) == "active"
    listed = admin.get("/v1/checkpoints").json()
    assert (listed["serving"]["checkpoint"], listed["active"], listed["trial"]) == (two.second, two.second, None)
    assert [entry.by for entry in two.registry.journal()[-1:]] == ["ada"]
    assert [evidence.decided_by for evidence in read_evidence(two.registry)] == ["bob"]


def test_without_an_id_the_same_comment_goes_the_same_way(admin: TestClient, two: TwoCheckpoints) -> None:
    begun(admin, two, "canary", 0.5)
    for text in IDS:
        assert len({asked(admin, comment=text) for _ in range(3)}) == 1
    assert {asked(admin, comment=text) for text in IDS} == {two.first, two.second}


def test_a_shadow_becomes_a_canary_and_is_stopped(admin: TestClient, two: TwoCheckpoints) -> None:
    begun(admin, two, "shadow", 1.0)
    assert {asked(admin, id=name) for name in IDS} == {two.first}
    begun(admin, two, "canary", 1.0)
    assert asked(admin, id="review-1") == two.second
    assert admin.post(f"/v1/checkpoints/{two.second}/stop").status_code == 202
    assert over(admin) == "stopped"
    assert asked(admin, id="review-1") == two.first
    assert [stage.mode for stage in read_evidence(two.registry)[0].stages] == ["shadow", "canary"]


@pytest.mark.parametrize("body", ["{}", '{"share": 0}', '{"share": 1.5}', '{"share": "x"}', '{"share": 0.1, "to": 1}'])
def test_a_share_that_is_none_is_refused(admin: TestClient, two: TwoCheckpoints, body: str) -> None:
    answer = admin.post(f"/v1/checkpoints/{two.second}/canary", content=body)
    assert answer.status_code == 400
    assert two.phases == []


def test_what_cannot_be_done_says_why(admin: TestClient, two: TwoCheckpoints) -> None:
    none = admin.post(f"/v1/checkpoints/{two.second}/promote")
    assert (none.status_code, "is not on trial" in none.json()["detail"]) == (409, True)
    serving = admin.post(f"/v1/checkpoints/{two.first}/canary", json={"share": 0.1})
    assert (serving.status_code, "active already" in serving.json()["detail"]) == (409, True)
    begun(admin, two, "canary", 0.1)
    for path in (f"{two.second}/activate", "rollback"):
        answer = admin.post(f"/v1/checkpoints/{path}")
        assert (answer.status_code, "promote or stop it first" in answer.json()["detail"]) == (409, True)


def test_without_the_key_no_trial_is_begun_or_ended(two: TwoCheckpoints) -> None:
    with TestClient(create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))) as client:
        for word in ("canary", "shadow", "promote", "stop"):
            assert client.post(f"/v1/checkpoints/{two.second}/{word}", json={"share": 1.0}).status_code == 403
    assert two.phases == []


def test_a_service_that_stops_during_a_trial_closes_both_engines(two: TwoCheckpoints) -> None:
    app = create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        begun(client, two, "canary", 0.5)
    assert all(engine.closed for engine in two.engines.values())


@pytest.fixture
def served(two: TwoCheckpoints) -> Iterator[str]:
    """The address of the service over a real socket."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY))),
            port=0,
            log_level="warning",
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_commands_do_the_same_at_a_running_service(
    served: str, two: TwoCheckpoints, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> tuple[int, str]:
        code = main(["checkpoint", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    monkeypatch.setenv("ROUTE_FEEDBACK_ADMIN_KEY", KEY)
    at = ("--url", served)
    assert command("trial", *at) == (0, "no trial at one/1\n")
    code, said = command("shadow", two.second, "--share", "0.25", *at)
    assert (code, "shadow of 25.0%" in said) == (0, True), said
    assert command("canary", two.second, "--share", "0.5", *at, "--json")[0] == 0
    code, said = command("trial", *at)
    assert (code, "0 of 500 requests" in said) == (0, True), said
    code, said = command("stop", two.second, *at)
    assert (code, f"{two.second} is stopped" in said) == (0, True), said
    assert command("canary", two.second, "--share", "0.5", *at)[0] == 0
    code, said = command("promote", two.second, *at)
    assert (code, f"{two.second} is active; before the trial {two.first} served" in said) == (0, True), said
    code, said = command("promote", two.second, *at)
    assert (code, "is not on trial" in said) == (1, True), said
    code, said = command("trials", "--registry", str(root_of(two.registry)))
    assert (code, said.count("\n"), "stopped by" in said, "promoted by" in said) == (0, 3, True, True), said
    code, said = command("trials", "--registry", str(root_of(two.registry)), "--json")
    assert [trial["decision"] for trial in json.loads(said)["trials"]] == ["stopped", "promoted"]
    assert command("canary", two.second, *at)[0] == 2
