"""Whatever is sent, wherever to: an answer that OpenAPI describes or a problem, and no error of ours."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from serve.http.admin import Admin
from serve.http.app import create_app
from serve.http.problems import MEDIA_TYPE
from serve.http.schemas import Problem, RouteResponse
from tests.support.two_checkpoints import TwoCheckpoints

KEY: Final = "a key for the tests"
CHECKPOINT: Final = "{checkpoint}"
GOOD: Final[list[dict[str, Any]]] = [
    {"comment": "It came late, and the app crashes!"},
    {"comment": "ok", "id": "1", "metadata": {"author": "ada"}, "deadline_ms": 60_000},
    {"by": "ada"},
    {"by": "ada", "share": 0.5, "without_gate": "bob"},
]
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "post", "BREW")
HEADERS: Final = (
    "Accept", "Accept-Encoding", "Authorization", "Baggage", "Content-Encoding", "Content-Type", "Cookie", "Host",
    "Idempotency-Key", "Origin", "Traceparent", "Tracestate", "X-Forwarded-For", "X-Request-Id",
)  # fmt: skip
NUMBERS: Final = ("1e999", "-1e999", "NaN", "Infinity", "-Infinity", "9" * 400, "-" + "9" * 5000, "1e-400", "0", "-0.0")


class Sent(NamedTuple):
    method: str
    path: str
    headers: dict[str, bytes]
    body: bytes


# Lone surrogates among them: json.dumps writes their escapes.
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "a\udfff", "\x00", "\u202e", "x" * 6000, ""])
names = texts | st.sampled_from(["comment", "id", "metadata", "deadline_ms", "by", "share", "without_gate"])
numbers = st.sampled_from(NUMBERS).map(lambda digits: f"<<{digits}>>")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)


def written(document: Any) -> bytes:
    """JSON, in which what stands between << and >> is a number as it is."""
    return re.sub(r'"<<(.*?)>>"', r"\1", json.dumps(document)).encode()


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """What is right, with some of its fields changed, given twice, or wrapped up."""
    document = dict(draw(st.sampled_from(GOOD))) | draw(st.dictionaries(names, values, max_size=2))
    if draw(st.booleans()) and document:
        document[draw(st.sampled_from(sorted(document)))] = draw(values)
    body = written(document)
    if draw(st.integers(0, 9)) == 0:
        body = b"[" * draw(st.sampled_from([20, 100, 2000])) + body
    if draw(st.integers(0, 9)) == 0:
        body = body[:-1] + b", " + body[1:]
    return body


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A document, spoiled as bytes where it is not JSON any more."""
    body = draw(documents() | st.binary(max_size=40) | st.just(b""))
    at = draw(st.integers(0, len(body)))
    spoilt = [
        body[:at],
        body[:at] + draw(st.binary(max_size=4)) + body[at:],
        body.decode(errors="replace").encode("utf-16"),
        body + b"\xe9",
        b"\xef\xbb\xbf" + body,
        gzip.compress(body),
        body + b" " * 100_000,
    ]
    return draw(st.sampled_from([body] * len(spoilt) + spoilt))


odd_names = st.sampled_from(["ck_none", "..", ".", "%00", "%2e%2e%2fetc", "%ff%fe", "%", "rollback", "a" * 300])
paths = st.one_of(
    st.sampled_from(
        ["/", "/docs", "/openapi.json", "/metrics", "/livez", "/readyz", "/v1/taxonomy", "/v1/checkpoints/"]
    ),
    st.text(max_size=12).map(lambda text: "/" + quote(text, errors="replace")),
)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    known = st.sampled_from(
        ["/v1/route", "/v1/checkpoints", "/v1/checkpoints/rollback"]
        + [f"/v1/checkpoints/{CHECKPOINT}/{does}" for does in ("activate", "canary", "shadow", "promote", "stop")]
    )
    path = draw(st.one_of(known, known, paths))
    path += draw(st.sampled_from(["", "", "", "/", "?a=b", "?%ff=%00", ";x", "%20"]))
    header = st.binary(max_size=30).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b""))
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), header, max_size=3))
    return Sent(draw(st.just("POST") | st.sampled_from(METHODS)), path, headers, draw(bodies()))


@pytest.fixture
def everything(two: TwoCheckpoints) -> Iterator[TestClient]:
    """The app with a registry and an admin's key, which is sent unless a request brings one of its own."""
    app = create_app(two.active, two.metrics.answers, Admin(two.replica(), SecretStr(KEY)))
    sent = {"Authorization": f"Bearer {KEY}"}
    with TestClient(app, headers=sent, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def ask(client: TestClient, sent: Sent) -> Any:
    headers = [(name.encode(), value) for name, value in sent.headers.items()]
    return client.request(sent.method, sent.path, headers=headers, content=sent.body)


def check(answer: Any) -> None:
    """Every answer has an id; what is no success is a problem that says so, with it."""
    assert answer.status_code < 500 or answer.status_code in {503, 504}, answer.text
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["content-type"] == MEDIA_TYPE
        problem = Problem.model_validate_json(answer.content)
        assert (problem.status, problem.request_id) == (answer.status_code, answer.headers["x-request-id"])
        assert problem.detail
        assert problem.retryable == ("retry-after" in answer.headers)


@given(body=bodies())
@settings(max_examples=120, deadline=None)
def test_whatever_is_sent_to_be_routed_is_answered_or_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/route", content=body)
    check(answer)
    assert str(answer.status_code) in client.get("/openapi.json").json()["paths"]["/v1/route"]["post"]["responses"]
    if answer.status_code == 200:
        read = RouteResponse.model_validate_json(answer.content)
        contents = [s.content for s in read.segments] + [r.content for r in read.residue]
        assert sum(map(len, contents)) == len(json.loads(body)["comment"])
    if answer.status_code == 422:
        assert all(error["field"] and error["message"] for error in answer.json()["errors"])


@given(sent=requests(), name=odd_names | st.just(""))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_anywhere_is_answered_or_refused(
    everything: TestClient, two: TwoCheckpoints, sent: Sent, name: str
) -> None:
    path = sent.path.replace(CHECKPOINT, name or two.second)
    check(ask(everything, sent._replace(path=path)))


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    assert client.get("/v1/route").headers["allow"] == "POST"
