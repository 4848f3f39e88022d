"""What OpenAPI says of every operation: enough for a client to be made from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient

from serve.http.problems import MEDIA_TYPE
from serve.http.schemas import ResidueOut, RouteRequest, RouteResponse, SegmentOut

OPERATIONS = {
    "route_comment": ("post", "/v1/route"),
    "get_taxonomy": ("get", "/v1/taxonomy"),
    "list_checkpoints": ("get", "/v1/checkpoints"),
    "activate_checkpoint": ("post", "/v1/checkpoints/{checkpoint}/activate"),
    "roll_back": ("post", "/v1/checkpoints/rollback"),
    "start_canary": ("post", "/v1/checkpoints/{checkpoint}/canary"),
    "start_shadow": ("post", "/v1/checkpoints/{checkpoint}/shadow"),
    "promote_candidate": ("post", "/v1/checkpoints/{checkpoint}/promote"),
    "stop_trial": ("post", "/v1/checkpoints/{checkpoint}/stop"),
    "get_liveness": ("get", "/livez"),
    "get_readiness": ("get", "/readyz"),
    "get_metrics": ("get", "/metrics"),
}
OF_ADMIN = sorted(name for name, (_, path) in OPERATIONS.items() if path.startswith("/v1/checkpoints"))
WITH_BODY = sorted(name for name, (method, _) in OPERATIONS.items() if method == "post")


class Operation(NamedTuple):
    method: str
    path: str
    said: dict[str, Any]


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, Operation]:
    return {
        said.get("operationId", f"{method} {path}"): Operation(method, path, said)
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    }


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Follows a reference, which has to lead somewhere."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].removeprefix("#/components/schemas/")]
    return schema


def references(of: Any) -> Iterator[str]:
    if isinstance(of, dict):
        yield from (value for name, value in of.items() if name == "$ref")
        of = list(of.values())
    if isinstance(of, list):
        for inner in of:
            yield from references(inner)


def test_operation_ids_are_written_down_and_stay(operations: dict[str, Operation]) -> None:
    assert {name: (operation.method, operation.path) for name, operation in operations.items()} == OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_its_topic_and_a_summary_of_its_own(operations: dict[str, Operation], name: str) -> None:
    said = operations[name].said
    assert len(said["tags"]) == 1
    assert Counter(other.said["summary"] for other in operations.values())[said["summary"]] == 1
    assert said["description"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_success_says_what_comes_back(
    operations: dict[str, Operation], document: dict[str, Any], name: str
) -> None:
    ((status, answer),) = [(s, a) for s, a in operations[name].said["responses"].items() if s.startswith("2")]
    assert status == ("202" if name in OF_ADMIN and name in WITH_BODY else "200")
    ((media_type, content),) = answer["content"].items()
    if media_type == "text/plain":
        assert content["schema"] == {"type": "string"}
    else:
        assert media_type == "application/json"
        assert resolved(content["schema"], document)["properties"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_everything_else_is_a_problem(operations: dict[str, Operation], document: dict[str, Any], name: str) -> None:
    problems = {s: a for s, a in operations[name].said["responses"].items() if not s.startswith("2")}
    assert "default" in problems
    assert ("403" in problems) == (name in OF_ADMIN)
    assert ("503" in problems) == (name != "get_metrics")
    for answer in problems.values():
        assert answer["description"]
        model = resolved(answer["content"][MEDIA_TYPE]["schema"], document)
        assert {"type", "code", "detail"} <= model["properties"].keys()


@pytest.mark.parametrize("name", WITH_BODY)
def test_every_body_is_shown_though_it_is_read_by_hand(
    operations: dict[str, Operation], document: dict[str, Any], name: str
) -> None:
    body = operations[name].said["requestBody"]
    assert body["required"] == (name in {"route_comment", "start_canary", "start_shadow"})
    model = resolved(body["content"]["application/json"]["schema"], document)
    assert model["properties"]
    assert model["additionalProperties"] is False


def test_the_admins_operations_take_the_admins_key_and_no_other_one_has_to(
    operations: dict[str, Operation], document: dict[str, Any]
) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {name: (scheme["type"], scheme["scheme"]) for name, scheme in schemes.items()} == {
        "AdminKey": ("http", "bearer"),
        "CallerKey": ("http", "bearer"),
    }
    taken = {name: operation.said.get("security", []) for name, operation in operations.items()}
    assert [name for name in sorted(taken) if taken[name] == [{"AdminKey": []}]] == OF_ADMIN
    assert taken["route_comment"] == [{"CallerKey": []}, {}]
    assert not any(taken[name] for name in taken.keys() - {*OF_ADMIN, "route_comment"})


def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    assert {name.removeprefix("#/components/schemas/") for name in found} == document["components"]["schemas"].keys()


def test_the_example_of_an_answer_is_one_to_the_example_of_a_request(document: dict[str, Any]) -> None:
    (sent,) = document["components"]["schemas"]["RouteRequest"]["examples"]
    (answer,) = document["components"]["schemas"]["RouteResponse"]["examples"]
    read = RouteResponse.model_validate(answer)
    parts: list[SegmentOut | ResidueOut] = sorted([*read.segments, *read.residue], key=lambda part: part.start)
    assert RouteRequest.model_validate(sent).id == read.id
    assert "".join(part.content for part in parts) == sent["comment"]
    assert [sent["comment"][part.start : part.end] for part in parts] == [part.content for part in parts]


def test_asking_twice_gives_the_same(client: TestClient) -> None:
    first, second = (client.get("/openapi.json").json() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
