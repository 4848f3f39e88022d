"""A run's report shows what it was trained on, how it went and why these weights, in a browser without a network."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.manifest import Manifest, read_manifest
from tests.support import requirements as needed
from train.report.curves import BINS, LEFT, axis, curve, plane
from train.report.run_report import value, write_report


def figure(at: float, half: float) -> dict[str, Any]:
    return {"value": at, "interval_95": [at - half, at + half]}


def candidate(name: str, leaf: float, general: float, *, on_front: bool = False) -> dict[str, Any]:
    return {"name": name, "leaf_f1": figure(leaf, 0.03), "general": figure(general, 0.04), "on_front": on_front}


CHOICE: dict[str, Any] = {
    "chosen": "mean of 3, alpha 0.75",
    "reason": "highest leaf F1 of the 3 whose general accuracy is not below the base's 0.741",
    "validation": {"comments": 200, "fingerprint": "0", "questions": 400},
    "base": candidate("base", 0.04, 0.78),
    "candidates": [
        candidate("last", 0.52, 0.62, on_front=True),
        candidate("last, alpha 0.75", 0.47, 0.75),
        candidate("last, alpha 0.5", 0.31, 0.79, on_front=True),
        candidate("mean of 3", 0.51, 0.61),
        candidate("mean of 3, alpha 0.75", 0.49, 0.76, on_front=True),
        candidate("mean of 3, alpha 0.5", 0.3, 0.77),
    ],
}
MIX = {
    "comments": {"tokens": 9_000, "share": 0.9, "rows": 450, "of": 300},
    "<b>chat</b>": {"tokens": 1_000, "share": 0.1, "rows": 20, "of": 60, "asked": 0.1, "capped": True},
}
STEPS = [
    {"step": n, "loss": 2 / math.sqrt(n), "learning_rate": 1e-3 * (1 - n / 500), "tokens_per_s": 4000.0}
    | ({"kl": n / 100} if n % 10 == 0 else {})
    for n in range(1, 501)
]


def manifest(**training: Any) -> Manifest:
    bundled = read_manifest(BUNDLED_CHECKPOINT)
    data = {"mix": MIX, "checked": {"chat": {"chats": 60, "duplicates": 2, "leaks": 0}}, "skipped": {"chat": 3}}
    ran = {"steps": 500, "seconds": 83, "loss": 0.4321, "machine": "x86_64", "cores": 2, "torch": "2.13.0"}
    changed = {"base_model": "ck_base", "recipe": {"seed": 7, "replay": []}, "data": data, "training": ran | training}
    return bundled.model_copy(update=changed)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(manifest(choice=CHOICE), STEPS, tmp_path_factory.mktemp("run"))


def test_it_shows_the_mix_the_findings_the_choice_the_recipe_and_the_machine(page: Path) -> None:
    text = page.read_text()
    for shown in ("90.00%", "10.00%, capped", "60 chats, 2 duplicates", "3 rows left out", "seed: 7", "x86_64"):
        assert shown in text
    assert "replay: []" not in text, "what a recipe leaves out is left out"
    assert "0.490" in text, "the chosen one's leaf F1"
    assert CHOICE["reason"] in text.replace("&#39;", "'")
    assert "<b>chat" not in text, "a source's name is text"


def test_nothing_is_loaded_from_anywhere(page: Path) -> None:
    assert not re.search(r"https?://|src=|<link|<script|@import|url\(", page.read_text())


def test_what_a_run_does_not_have_is_said(tmp_path: Path) -> None:
    text = write_report(manifest(), STEPS[:1], tmp_path).read_text()
    assert "the recipe asks for no choice" in text
    assert "Too few steps" in text
    blind = CHOICE | {
        "base": None,
        "candidates": [one | {"general": None} for one in (candidate("last", 0.5, 0.5, on_front=True),)],
    }
    text = write_report(manifest(choice=blind), STEPS, tmp_path).read_text()
    assert "General accuracy was not measured" in text
    assert 'id="plane"' not in text


def test_a_curve_of_many_steps_is_their_means_within_their_extremes() -> None:
    shape = curve(STEPS, "loss")
    assert shape
    assert len(shape["line"].split()) == BINS
    assert len(shape["band"].split()) == 2 * BINS
    xs = [float(point.split(",")[0]) for point in shape["line"].split()]
    assert xs == sorted(xs)
    assert xs[0] >= LEFT
    assert xs[-1] <= shape["width"]
    assert curve(STEPS[:9], "kl") is None
    assert curve(STEPS, "kl"), "a figure that some steps lack"


def test_what_is_better_lies_higher_and_further_to_the_right() -> None:
    shape = plane(CHOICE)
    assert shape
    at = {point["title"]: (point["x"], point["y"]) for point in shape["points"]}
    assert at["last"][1] < at["last, alpha 0.5"][1], "y grows downwards"
    assert at["last"][0] < at["last, alpha 0.5"][0]
    assert [point["title"] for point in shape["points"] if point["kind"] == "chosen"] == [CHOICE["chosen"]]
    assert len(shape["front"].split()) == 3


@pytest.mark.parametrize("values", [[0.3], [0.0], [1e-5, 3e-4], [-3, 7]])
def test_an_axis_holds_its_values_between_round_ones(values: list[float]) -> None:
    made = axis(values, 0, 100)
    assert made.low <= min(values)
    assert made.high >= max(values)
    assert made.at(made.low) == 0
    assert made.at(made.high) == 100


def test_the_value_names_what_is_published() -> None:
    assert value(manifest(choice=CHOICE), STEPS)["tiles"]["published"] == CHOICE["chosen"]


def test_a_real_browser_shows_it_without_a_network(page: Path, tmp_path: Path) -> None:
    chromium = needed.program("chromium", "chromium")
    picture = tmp_path / "run.png"

    def browse(*arguments: str) -> str:
        call = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        offline = ["--proxy-server=http://127.0.0.1:9", "--window-size=1200,2400"]
        done = subprocess.run(
            [*call, *offline, *arguments, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    dom = browse("--dump-dom")
    assert re.search(r'id="chosen">mean of 3, alpha 0.75<', dom)
    assert dom.count("<svg") == 5, "four curves and the plane"
    assert dom.count("<circle") == 8, "six candidates, the base, and the ring around the chosen one"
    assert "NaN" not in dom
    assert "None" not in dom
    browse(f"--screenshot={picture}")
    assert picture.stat().st_size > 50_000, "an empty page is smaller"
