"""What `POST /v1/route` gives beside a segment's own path."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from serve.engine.protocol import ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from taxonomy.labels import LEVELS
from tests.support.apps import app_on

COMMENT = "The night picture is blurry, and the parcel came late."


@pytest.fixture
def client(pair: Pair, settings: Settings) -> TestClient:
    engine = ScriptedEngine(pair.automaton, lambda allowed: (allowed[-1], -0.4))
    return TestClient(app_on(Router(pair, engine, limits_of(settings), context=32_768)))


def segments(client: TestClient, **asked: int) -> list[dict[str, Any]]:
    with client:
        response = client.post("/v1/route", json={"comment": COMMENT, **asked})
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.json()["segments"]
    assert found
    return found


@pytest.mark.parametrize("wanted", [1, 3, 5])
def test_so_many_other_paths_as_are_asked_for(client: TestClient, pair: Pair, wanted: int) -> None:
    for segment in segments(client, alternatives=wanted):
        others = segment["alternatives"]
        assert len(others) == wanted
        assert [other["confidence"] for other in others] == sorted((o["confidence"] for o in others), reverse=True)
        for other in others:
            path = tuple(other[level] for level in LEVELS if other[level])
            assert other.keys() == {*LEVELS, "confidence", "team"}
            assert path != tuple(segment[level] for level in LEVELS[: len(path)])
            teams = {leaf.team for leaf in pair.taxonomy.leaves if leaf.path[: len(path)] == path}
            assert other["team"] == (teams.pop() if len(teams) == 1 else None)


def test_none_are_there_where_none_are_asked_for(client: TestClient) -> None:
    assert all("alternatives" not in segment for segment in segments(client))
    assert all("alternatives" not in segment for segment in segments(client, alternatives=0))
