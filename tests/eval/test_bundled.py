"""What the bundled checkpoint's manifest says was measured, and that it holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eval.decoding.decoding import reproduced
from eval.judging.gate import GatePolicy, decide
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.checkpoint.manifest import read_manifest, verify
from tests.conftest import Live

MANIFEST = read_manifest(BUNDLED_CHECKPOINT)


def test_it_passes_the_default_gate_against_itself() -> None:
    decision = decide(MANIFEST, MANIFEST, GatePolicy(), datetime.now(UTC))
    assert decision.verdict is Verdict.PROMOTE, [f for f in decision.findings if f.verdict is not Verdict.PROMOTE]
    verify(BUNDLED_CHECKPOINT, MANIFEST)


def test_the_engine_that_serves_reproduces_its_fingerprint(live: Live) -> None:
    assert live.router
    assert MANIFEST.fingerprint
    found = live.run(reproduced(live.router, MANIFEST.fingerprint))
    assert found.reproduced is True, found


def test_it_learned_with_replay_and_both_axes_were_measured() -> None:
    assert MANIFEST.data["mix"]["suite"]["share"] == pytest.approx(0.4, abs=0.005)
    assert MANIFEST.scores["test"]["leaf"]["micro"]["f1"] > 0.4
    assert MANIFEST.scores["general"]["suite"]["accuracy"]["count"] == 1100
    assert MANIFEST.scores["general"]["suite"]["accuracy"]["value"] > 0.8
