"""Which key a request goes by, where callers take turns."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from serve.routing.answer import Answer
from serve.routing.router import Router


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, ""),
        ({"Authorization": "Bearer shop-1"}, "shop-1"),
        ({"Authorization": "bearer shop-1"}, "shop-1"),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "Basic c2hvcDox"}, ""),
    ],
)
def test_a_caller_goes_by_its_bearer_key_and_all_others_by_none(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], key: str
) -> None:
    route, keys = Router.route, list[str]()

    async def noting(router: Router, comment: str, key: str = "", seconds: float | None = None) -> Answer:
        keys.append(key)
        return await route(router, comment, key, seconds)

    monkeypatch.setattr(Router, "route", noting)
    assert client.post("/v1/route", json={"comment": "It came late."}, headers=given).status_code == 200
    assert keys == [key]
