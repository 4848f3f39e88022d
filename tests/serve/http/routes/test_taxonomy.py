"""`GET /v1/taxonomy`: every leaf with its four levels, its team and workflow."""

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


def test_a_level_below_the_end_of_a_path_is_null(pair: Pair, scripted: ScriptedEngine) -> None:
    leaves = [Leaf(("Delivery", "Late"), team="logistics", workflow="Ticket"), Leaf(("Praise",))]
    uneven = replace(pair, taxonomy=taxonomy_of(leaves))
    router = Router(uneven, scripted, limits_of(load_settings({})), context=32_768)
    with TestClient(app_on(router)) as client:
        shown = client.get("/v1/taxonomy").json()
    assert shown["depth"] == 2
    assert shown["leaves"] == [
        {"L1": "Delivery", "L2": "Late", "L3": None, "L4": None}
        | {"description": "", "team": "logistics", "workflow": "Ticket"},
        {"L1": "Praise", "L2": None, "L3": None, "L4": None} | {"description": "", "team": "", "workflow": ""},
    ]
