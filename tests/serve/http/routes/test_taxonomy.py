"""`GET /v1/taxonomy`: every leaf with its team and workflow, and as many levels as there are."""

from __future__ import annotations

from dataclasses import replace

from fastapi.testclient import TestClient

from serve.engine.protocol import ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.apps import app_on


def test_every_leaf_is_shown_with_who_works_on_it(client: TestClient, pair: Pair) -> None:
    shown = client.get("/v1/taxonomy").json()
    assert (shown["version"], shown["depth"]) == (pair.taxonomy.version, pair.taxonomy.depth)
    leaf = pair.taxonomy.leaves[0]
    labels = {f"L{level}": label for level, label in enumerate(leaf.path, 1)}
    assert shown["leaves"][0] == labels | {
        "description": leaf.description,
        "team": leaf.team,
        "workflow": leaf.workflow,
    }
    assert len(shown["leaves"]) == len(pair.taxonomy.leaves)


def test_a_level_that_the_taxonomy_does_not_have_is_left_out(pair: Pair, scripted: ScriptedEngine) -> None:
    shallow = replace(pair, taxonomy=taxonomy_of([Leaf(("Delivery", "Late"), team="logistics", workflow="Ticket")]))
    router = Router(shallow, scripted, limits_of(load_settings({})), context=32_768)
    with TestClient(app_on(router)) as client:
        (leaf,) = client.get("/v1/taxonomy").json()["leaves"]
    assert leaf == {"L1": "Delivery", "L2": "Late", "description": "", "team": "logistics", "workflow": "Ticket"}
