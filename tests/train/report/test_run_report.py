"""A run's report shows what it was trained on, how it went and why these weights, in a browser without a network."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.manifest import Manifest, read_manifest
from tests.support import requirements
from train.report.choice import ChoiceRecord
from train.report.pictures import BINS, curve, inline_svg, plane, points_of, stretches, svg
from train.report.run_report import run_page, write_report


def figure(at: float, half: float) -> dict[str, Any]:
    return {"value": at, "interval_95": [at - half, at + half]}


def candidate(name: str, leaf: float, general: float, *, on_front: bool = False) -> dict[str, Any]:
    axes = {"leaf_f1": figure(leaf, 0.03), "general": figure(general, 0.04)}
    return {"shares": {"500": 1.0}, "name": name, **axes, "on_front": on_front}


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

LOSSES = [(float(step["step"]), float(step["loss"])) for step in STEPS]


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
    middle, low, high = stretches(LOSSES)
    assert middle.shape == (BINS, 2)
    assert (low <= middle[:, 1]).all()
    assert (middle[:, 1] <= high).all()
    assert middle[:, 0].tolist() == sorted(middle[:, 0])
    assert stretches(LOSSES[:9])[0].tolist() == [list(point) for point in LOSSES[:9]]
    assert 'class="band"' in inline_svg(curve(LOSSES), "loss")
    assert 'class="band"' not in inline_svg(curve(LOSSES[:9]), "loss")


def test_a_figure_that_some_steps_lack_is_drawn_and_one_that_a_single_step_has_is_not() -> None:
    assert [curve.title for curve in run_page(manifest(), STEPS).curves] == [
        "Loss",
        "KL to the base, on comments",
        "Learning rate",
        "Tokens a second",
    ]
    assert "KL to the base, on comments" not in [curve.title for curve in run_page(manifest(), STEPS[:19]).curves]


def test_what_is_better_lies_higher_and_further_to_the_right() -> None:
    choice = ChoiceRecord.model_validate(CHOICE)
    figure = plane(choice)
    assert figure
    (axes,) = figure.axes
    at = {
        points_of(choice)[int(str(line.get_gid()).removeprefix("point-"))].name: line.get_transform().transform(
            line.get_xydata()
        )[0]
        for line in axes.lines
        if str(line.get_gid()).startswith("point-")
    }
    assert at["last"][1] > at["last, alpha 0.5"][1]
    assert at["last"][0] < at["last, alpha 0.5"][0]
    (ring,) = (line for line in axes.lines if line.get_gid() == "ring")
    assert np.array_equal(ring.get_xydata(), [[0.76, 0.49]])
    (front,) = (line for line in axes.lines if line.get_gid() == "front")
    assert np.array_equal(front.get_xdata(), [0.62, 0.76, 0.79])


@pytest.mark.parametrize("values", [[0.3, 0.3], [0.0, 0.0], [1e-5, 3e-4], [-3, 7]])
def test_an_axis_holds_its_values_between_round_ones(values: list[float]) -> None:
    (axes,) = curve(list(enumerate(values, 1))).axes
    low, high = axes.get_ylim()
    assert low <= min(values)
    assert max(values) <= high
    assert low < high
    ticks = axes.get_yticks()
    assert (ticks[0], ticks[-1]) == (low, high)


def test_a_picture_is_the_same_each_time_and_says_what_it_shows() -> None:
    choice = ChoiceRecord.model_validate(CHOICE)
    one, other = (plane(choice) for _ in range(2))
    assert one
    assert other
    assert svg(one) == svg(other)
    shown = [inline_svg(figure, "the <plane>", {"point-0": "last & first"}) for figure in (one, other)]
    assert shown[0] == shown[1]
    assert 'role="img" aria-label="the &lt;plane&gt;"' in shown[0]
    assert '<g class="point-0"><title>last &amp; first</title>' in shown[0]


def test_a_picture_has_the_pages_colours_and_font_and_its_own_ids(page: Path) -> None:
    text = page.read_text()
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) == 5
    assert not re.search(r"#[0-9a-f]{6}\b", "".join(pictures).replace("#m", "")), (
        "a colour of its own is lost in the dark"
    )
    assert set(re.findall(r"font-family: ([^;\"]*)", "".join(pictures))) == {"system-ui, sans-serif"}
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_the_tiles_name_what_is_published() -> None:
    assert run_page(manifest(choice=CHOICE), STEPS).tiles["published"] == CHOICE["chosen"]


def test_a_real_browser_shows_it_without_a_network(page: Path, tmp_path: Path) -> None:
    chromium = requirements.program("chromium", "chromium")
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
    assert dom.count("<title>") == 8, "the page, six candidates and the base"
    assert "NaN" not in dom
    assert "None" not in dom
    browse(f"--screenshot={picture}")
    assert picture.stat().st_size > 50_000, "an empty page is smaller"
