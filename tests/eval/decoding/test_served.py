"""`eval served` over a real socket: predictions with confidences, violations, scores in the manifest."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from eval.scoring.predictions import read_gold, read_predictions
from route_feedback import main
from serve.engine.protocol import ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import limits_of
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.comments import read_comments, write_comments
from tests.support.apps import app_on
from train.corpus.generator import Corpus, load_phrasebook


@pytest.fixture(scope="module")
def url(pair: Pair, settings: Settings) -> Iterator[str]:
    """The app on an engine that takes any allowed token at every decision."""
    rng = random.Random(0)
    engine = ScriptedEngine(pair.automaton, lambda allowed: (rng.choice(allowed), -0.1))
    app = app_on(Router(pair, engine, limits_of(settings), context=32_768))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


def test_what_is_served_is_written_scored_and_recorded(
    url: str, pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, out, folder = tmp_path / "gold.jsonl", tmp_path / "out.jsonl", tmp_path / "checkpoint"
    write_comments(Corpus(load_phrasebook(), "test").comments(12), gold)
    folder.mkdir()
    shutil.copy(BUNDLED_CHECKPOINT / "manifest.json", folder)
    publish(folder, read_manifest(folder).model_copy(update={"scores": {"other": {"kept": True}}}))
    call = ["eval", "served", f"--gold={gold}", f"--url={url}", f"--out={out}", f"--record={folder}", "--json"]
    assert main(call) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["violations"] == []
    assert printed["verbatim"] == 1.0
    recorded = read_manifest(folder).scores
    assert recorded["gold"]["leaf"] == printed["leaf"]
    assert recorded["gold"]["gold"] == hashlib.sha256(gold.read_bytes()).hexdigest()
    assert recorded["other"] == {"kept": True}

    read = read_predictions(out, read_gold(gold), pair.taxonomy)
    assert read.faults == {}
    names = {"L1", "L2", "L3", "L4", "emotion", "team"}
    assert all(segment.confidence.keys() == names for p in read.predictions for segment in p.segments)
    assert any(p.residue for p in read.predictions)
    assert all(0 < residue.confidence <= 1 for p in read.predictions for residue in p.residue)
    assert sum(len(comment.segments) for comment in read_comments(out)) == printed["segments"]["predicted"] > 0
    assert json.loads(out.read_text().splitlines()[0])["checkpoint"] == pair.checkpoint


def test_a_service_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_comments(Corpus(load_phrasebook(), "test").comments(1), tmp_path / "gold.jsonl")
    assert main(["eval", "served", f"--gold={tmp_path / 'gold.jsonl'}", "--url=http://127.0.0.1:9"]) == 1
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err
