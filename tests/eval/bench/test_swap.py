"""`bench swap` tells what was mixed up from what a fresh engine of that version says too."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.bench.models import noisy_checkpoint
from eval.bench.swap import FreshAnswers, Load, LoadRequest, MemoryMib, SwapPlan, _memory, compared, figures
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId

ONE, TWO = CheckpointId("ck_1"), CheckpointId("ck_2")


def body(checkpoint: CheckpointId, label: str, confidence: float = 0.9) -> dict[str, Any]:
    segment = {"content": "x", "L1": label, "confidence": {"L1": confidence}, "needs_review": confidence < 0.5}
    residue = {"content": " y", "confidence": confidence, "needs_review": confidence < 0.5}
    return {"id": "-", "checkpoint": checkpoint, "taxonomy": "tx_1", "segments": [segment], "residue": [residue]}


FRESH = {
    ONE: FreshAnswers([body(ONE, "a")], [[body(ONE, "a"), body(ONE, "b", 0.6)]]),
    TWO: FreshAnswers([body(TWO, "c")], [[body(TWO, "c")]]),
}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (body(ONE, "a"), "identical"),
        (body(ONE, "a", 0.4), "same_labels"),
        (body(ONE, "b"), "as_among_others"),
        (body(ONE, "c"), "mismatched"),  # what the other version answers, under this one's name
        (body(TWO, "b"), "mismatched"),
        (body(CheckpointId("ck_3"), "a"), "mismatched"),
    ],
)
def test_an_answer_is_compared_with_those_of_the_version_that_it_names(answer: dict[str, Any], kind: str) -> None:
    before = copy.deepcopy(answer)
    assert compared(LoadRequest(0, 1, 0, answer), FRESH) == kind
    assert answer == before


def test_requests_that_a_swap_was_under_way_in_are_timed_apart() -> None:
    load = Load(windows=[(10.0, 20.0)])
    load.requests = [
        *(LoadRequest(at, at + 1, 0, body(ONE, "a")) for at in (0, 5, 8.5)),
        *(LoadRequest(at, at + 3, 0, body(TWO, "c")) for at in (9, 12, 19)),
        LoadRequest(12, 13, 0, None, "503"),
        LoadRequest(21, 22, 0, body(TWO, "a")),
    ]
    found = figures(load, FRESH, SwapPlan(swaps=1), MemoryMib(1.0, [2.0]))
    assert (found.requests, found.failed, found.mismatched, found.identical) == (8, 1, 1, 6)
    assert (found.p50_ms, found.p50_during_swap_ms, found.longest_during_swap_ms) == (1000, 3000, 3000)
    assert (found.requests_during_swap, found.swap_s, found.faults) == (3, [10.0], ["503"])
    assert found.by_version == {ONE: 3, TWO: 4}


def test_the_memory_is_that_of_all_processes() -> None:
    alone = _memory(os.getpid())
    holding = "held = b'x' * 2**26; print('ready', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", holding], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        assert _memory(os.getpid()) > alone + 60
        child.communicate("\n")
    with pytest.raises(EngineFailed, match="has ended"):
        _memory(child.pid)


def test_a_noisy_copy_is_a_whole_checkpoint_of_its_own(tmp_path: Path) -> None:
    version = noisy_checkpoint(BUNDLED_CHECKPOINT, tmp_path / "noisy")
    manifest = read_manifest(tmp_path / "noisy")
    verify(tmp_path / "noisy", manifest)
    assert manifest.version == version != read_manifest(BUNDLED_CHECKPOINT).version
    assert manifest.taxonomy == read_manifest(BUNDLED_CHECKPOINT).taxonomy
