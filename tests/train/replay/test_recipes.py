"""A recipe with replay that the base makes of itself: made once, trained on as any chats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from route_feedback import main
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.comments import write_comments
from taxonomy.errors import ProcessFailed
from tests.support.bases import small_base
from tests.support.speakers import starter
from train.corpus.generator import Corpus, load_phrasebook
from train.recipe import Recipe
from train.recipe_parts import Replay
from train.replay.order import write_replay
from train.replay.recipes import call_of, kept_at, order_of, with_own_chats
from train.run import run

SAMPLING = {"question_tokens": 40, "answer_tokens": 60, "batch": 8, "temperatures": [0.7, 1.1]}
OWN: dict[str, Any] = {"name": "own", "self": 12, "share": 0.3, "sampling": SAMPLING}


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_base(tmp_path_factory.mktemp("bases") / "base"))


def recipe(base: str, **changes: Any) -> Recipe:
    usual = {"base": base, "corpus": 120, "exposures": 1, "replay": [OWN], "optimisation": {"batch": 8}}
    return Recipe.model_validate(usual | changes)


def made(asked: Recipe, cache: Path) -> Path:
    """The chats that a recipe asks for, as a scripted base makes them."""
    assert asked.base
    order = order_of(asked.replay[0], asked.data, asked.base)
    file = kept_at(order, cache)
    write_replay(order, file, starter(), resume=True, say=quiet)
    return file


def trained(asked: Recipe, folder: Path, cache: Path, **options: Any) -> Manifest:
    return run(asked, folder, quiet, cache=cache, **options)


def test_the_base_s_own_chats_are_replay_like_any(base: str, tmp_path: Path) -> None:
    asked = recipe(base)
    made(asked, tmp_path / "cache")
    manifest = trained(asked, tmp_path / "out", tmp_path / "cache")
    mix = manifest.data["mix"]["own"]
    assert mix["of"] == 12
    assert mix["asked"] == 0.3
    assert manifest.data["checked"]["own"]["chats"] == 12
    assert Replay.model_validate(manifest.recipe["replay"][0]) == asked.replay[0]
    again = trained(asked, tmp_path / "again", tmp_path / "cache")
    assert again.version == manifest.version
    near = trained(recipe(base, replay_kl=2.0), tmp_path / "near", tmp_path / "cache")
    assert near.version != manifest.version


def test_chats_that_were_made_are_not_made_again(base: str, tmp_path: Path) -> None:
    asked = recipe(base)
    file = made(asked, tmp_path)
    said: list[str] = []
    data = with_own_chats(asked.data, asked.start, tmp_path, said.append)
    assert (data.replay[0].self, data.replay[0].chats) == (None, [str(file)])
    assert replace(data, replay=asked.replay) == asked.data
    assert said == [f"replay own: 12 chats of the base's own are in {file} already"]


def test_other_chats_have_a_file_of_their_own(base: str, tmp_path: Path) -> None:
    write_comments(Corpus(load_phrasebook(), "train").comments(9), tmp_path / "a.jsonl")
    write_comments(Corpus(load_phrasebook(), "train").comments(3), tmp_path / "b.jsonl")
    files = {"comments": [str(tmp_path / "a.jsonl")], "taxonomy": str(BUNDLED_TAXONOMY)}
    (tmp_path / "prompts.txt").write_text("What does the heron eat?\n")
    recipes = [
        recipe(base),
        recipe(base, seed=1),
        recipe(base, replay=[OWN | {"self": 13}]),
        recipe(base, replay=[OWN | {"sampling": SAMPLING | {"top_p": 0.9}}]),
        recipe(base, replay=[OWN | {"prompts": [str(tmp_path / "prompts.txt")]}]),
        recipe(base, corpus=files | {"test": [str(tmp_path / "b.jsonl")]}),
        recipe(str(small_base(tmp_path / "other", context=2048))),
    ]
    kept = [kept_at(order_of(each.replay[0], each.data, each.base or ""), tmp_path) for each in recipes]
    assert len({*kept}) == len(recipes)
    # What is learned of the comments changes nothing of what the base says.
    alike = recipe(base, exposures=2, corpus=24, replay=[OWN | {"share": 0.1, "name": "x"}])
    assert kept_at(order_of(alike.replay[0], alike.data, base), tmp_path) == kept[0]


def test_the_command_that_makes_them_asks_for_the_same(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a file that is finished it starts no engine, and refuses one of another origin."""
    asked = recipe(base)
    file = made(asked, tmp_path)
    order = order_of(asked.replay[0], asked.data, base)
    assert main([*call_of(order, file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 12
    assert main(call_of(replace(order, seed=7), file)) == 2
    assert "seed was 0, now it is 7" in capsys.readouterr().err


def test_chats_that_cannot_be_made_stop_the_run_before_it_trains(tmp_path: Path) -> None:
    small = str(small_base(tmp_path / "base", context=90))
    with pytest.raises(ProcessFailed, match=r"replay own: no chats could be made \(exit code 2\)"):
        trained(recipe(small), tmp_path / "out", tmp_path / "cache")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ({"suite": 40}, "one of them"),
        ({"chats": ["a.jsonl"]}, "one of them"),
        ({"self": None, "prompts": ["a.txt"], "suite": 40}, "`prompts` and `sampling` go with `self`"),
        ({"self": None, "sampling": SAMPLING, "chats": ["a"]}, "`prompts` and `sampling` go with `self`"),
        ({"sampling": {"temperatures": []}}, "at least 1"),
        ({"sampling": {"warmth": 2}}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused(base: str, source: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        recipe(base, replay=[OWN | source])


def test_a_fresh_model_has_nothing_to_say() -> None:
    with pytest.raises(ValidationError, match="`self` in `replay` needs a base that speaks"):
        Recipe.model_validate({"corpus": 24, "exposures": 1, "replay": [OWN]})
