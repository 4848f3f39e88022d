"""An adapter is a version of its own, of one base."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.adapter import adapter_of
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import CheckpointInvalid
from taxonomy.labels import CheckpointId


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_it_names_its_base_and_is_whole(saved: Path) -> None:
    base = read_manifest(BUNDLED_CHECKPOINT)
    manifest = adapter_of(saved, base)
    assert (manifest.adapter_of, manifest.taxonomy) == (base.version, base.taxonomy)
    assert (manifest.scores, manifest.calibration, manifest.decision, manifest.fingerprint) == ({}, None, None, None)
    assert read_manifest(saved) == manifest
    verify(saved, manifest)


def test_the_same_adapter_over_another_base_is_another_version(saved: Path) -> None:
    base = read_manifest(BUNDLED_CHECKPOINT)
    one = adapter_of(saved, base)
    assert adapter_of(saved, base).version == one.version
    other = adapter_of(saved, base.model_copy(update={"version": CheckpointId("ck_other")}))
    assert other.version != one.version


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("adapter_config.json", None, "has no adapter_config.json"),
        ("adapter_model.safetensors", None, "has no adapter_model.safetensors"),
        ("adapter_config.json", "[", "is no JSON object"),
        ("adapter_config.json", "[1]", "is no JSON object"),
        ("adapter_config.json", '{"peft_type": "IA3"}', "peft_type is IA3"),
    ],
)
def test_what_peft_has_not_saved_is_no_adapter(saved: Path, name: str, content: str | None, said: str) -> None:
    (saved / name).unlink()
    if content is not None:
        (saved / name).write_text(content)
    with pytest.raises(CheckpointInvalid, match=said):
        adapter_of(saved, read_manifest(BUNDLED_CHECKPOINT))
