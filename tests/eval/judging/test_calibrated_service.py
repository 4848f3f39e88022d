"""What `eval calibrate` writes into a manifest is what the service answers with from its next start on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from eval.decoding.decoding import decoded
from route_feedback import main
from serve.settings import Settings
from serve.start import load_pair
from taxonomy.checkpoint.manifest import Manifest, publish, read_manifest
from taxonomy.comments import write_comments
from taxonomy.files import write_jsonl
from tests.support.apps import app_on
from tests.support.checkpoints import published, router_on, unpublished
from train.corpus.generator import Corpus, load_phrasebook

GOLD = list(Corpus(load_phrasebook(), "test").comments(140))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published(unpublished(tmp_path / "checkpoint", 1), calibration=None)
    return tmp_path / "checkpoint"


def answers(folder: Path, settings: Settings) -> list[dict[str, Any]]:
    """Each gold comment over HTTP, by a service that starts on this folder."""
    router = router_on(load_pair(settings.model_copy(update={"checkpoint": str(folder)})), settings)
    with TestClient(app_on(router)) as client:
        return [client.post("/v1/route", json={"comment": comment.comment}).json() for comment in GOLD]


async def recorded(folder: Path, settings: Settings, tmp_path: Path) -> Manifest:
    router = router_on(load_pair(settings.model_copy(update={"checkpoint": str(folder)})), settings)
    write_jsonl((await decoded(router, GOLD)).lines, tmp_path / "pred.jsonl")
    write_comments(GOLD, tmp_path / "gold.jsonl")
    files = [f"--gold={tmp_path / 'gold.jsonl'}", f"--pred={tmp_path / 'pred.jsonl'}", f"--record={folder}"]
    assert main(["eval", "calibrate", *files, "--error=0.9"]) == 0
    return read_manifest(folder)


async def test_temperatures_and_the_threshold_reach_the_service(
    folder: Path, settings: Settings, tmp_path: Path
) -> None:
    before = answers(folder, settings)
    manifest = await recorded(folder, settings, tmp_path)
    calibration = manifest.calibration
    assert calibration
    assert {"residue", "team"} <= calibration.scales.keys()
    assert calibration.team_review_below is not None
    after = answers(folder, settings)
    for raw, calibrated in zip(before, after, strict=True):
        for one, other in zip(raw["segments"], calibrated["segments"], strict=True):
            assert one["L4"] == other["L4"]
            assert other["confidence"] == pytest.approx(calibration.applied(one["confidence"]), abs=1e-4)
            assert other["confidence"]["team"] >= other["confidence"]["L4"]
            if abs(other["confidence"]["team"] - calibration.team_review_below) > 1e-4:
                assert other["needs_review"] == (other["confidence"]["team"] < calibration.team_review_below)
        for one, other in zip(raw["residue"], calibrated["residue"], strict=True):
            assert other["confidence"] == pytest.approx(calibration.of_residue(one["confidence"]), abs=1e-4)

    for threshold, reviewed in ((0.0, False), (1.0, True)):
        moved = calibration.model_copy(update={"team_review_below": threshold})
        publish(folder, manifest.model_copy(update={"calibration": moved}))
        segments = [segment for answer in answers(folder, settings) for segment in answer["segments"]]
        assert segments
        assert {segment["needs_review"] for segment in segments} == {reviewed}
