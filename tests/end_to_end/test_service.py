"""The real thing: vLLM under the grammar, over a real socket."""

from __future__ import annotations

import json

import httpx
import pytest

from eval.decoding.served import serve_gold
from taxonomy.bundled import bundled_taxonomy
from tests.conftest import Live
from tests.serve.http.test_bad_input import ODD_BUT_RIGHT, REFUSED, spans_of
from train.corpus.generator import Corpus, load_phrasebook


def test_the_probes_say_ready(live: Live) -> None:
    assert httpx.get(f"{live.url}/livez").text == "ok"
    assert httpx.get(f"{live.url}/readyz").status_code == 200


def test_the_active_taxonomy_is_served(live: Live) -> None:
    taxonomy = httpx.get(f"{live.url}/v1/taxonomy").json()
    assert taxonomy["version"] == bundled_taxonomy().version
    assert (taxonomy["depth"], len(taxonomy["leaves"])) == (4, 1420)
    assert all(leaf["team"] and leaf["description"] for leaf in taxonomy["leaves"])


async def test_comments_of_the_test_split_keep_the_contract(live: Live) -> None:
    gold = list(Corpus(load_phrasebook(), "test").comments(64))
    served = await serve_gold(gold, live.url, at_once=16)
    assert served.violations == []


@pytest.mark.parametrize("name", ODD_BUT_RIGHT)
def test_odd_text_is_answered_end_to_end(live: Live, name: str) -> None:
    comment = ODD_BUT_RIGHT[name][:300]  # their whole length is tried without a model
    response = httpx.post(f"{live.url}/v1/route", json={"comment": comment}, timeout=120)
    assert response.status_code == 200, response.text
    assert "".join(span["content"] for span in spans_of(response.json())) == comment


@pytest.mark.parametrize("name", REFUSED)
def test_bad_bodies_are_refused_over_a_real_socket(live: Live, name: str) -> None:
    body, status, _ = REFUSED[name]
    response = httpx.post(f"{live.url}/v1/route", content=body, timeout=60)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


def test_the_answer_names_its_pair_and_gives_back_what_is_the_callers(live: Live) -> None:
    asked = {"comment": "It came late.", "id": "r-1", "metadata": {"shop": "de"}}
    answer = httpx.post(f"{live.url}/v1/route", json=asked, timeout=60).json()
    assert live.router
    assert answer["id"] == "r-1"
    assert answer["metadata"] == {"shop": "de"}
    assert answer["checkpoint"] == live.router.pair.checkpoint
    assert answer["taxonomy"] == bundled_taxonomy().version


def test_a_deadline_that_cannot_be_met_is_a_504(live: Live) -> None:
    comment = "It came late, the app crashes. " * 60
    response = httpx.post(f"{live.url}/v1/route", json={"comment": comment, "deadline_ms": 1}, timeout=60)
    assert response.status_code == 504
    assert response.json()["title"] == "Deadline passed"
    assert httpx.post(f"{live.url}/v1/route", json={"comment": "late"}, timeout=60).status_code == 200


def test_openapi_shows_the_request_with_an_example(live: Live) -> None:
    document = httpx.get(f"{live.url}/openapi.json").json()
    body = document["paths"]["/v1/route"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    example = schema["examples"][0]
    assert httpx.post(f"{live.url}/v1/route", json=example, timeout=60).status_code == 200
    assert "application/problem+json" in json.dumps(document["paths"]["/v1/route"]["post"]["responses"]["422"])
