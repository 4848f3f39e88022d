"""A checkpoint is what its manifest says, or it does not start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.checkpoint.manifest import (
    MANIFEST,
    Contents,
    Manifest,
    check_pair,
    checkpoint_id,
    hashes,
    publish,
    publish_whole,
    read_manifest,
    verify,
)
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.language.forms import Form
from taxonomy.language.prompt import PromptStyle, prompt_version
from taxonomy.tree import Leaf, taxonomy_of

TAXONOMY = taxonomy_of([Leaf(("A", "B"))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    publish(tmp_path, manifest_of(tmp_path))
    return tmp_path


def manifest_of(folder: Path, **changed: str) -> Manifest:
    files = hashes(folder)
    fields = {
        "version": checkpoint_id(files),
        "files": files,
        "taxonomy": TAXONOMY.version,
        "prompt": prompt_version(Form.VERBATIM),
        "prompt_style": PromptStyle.LEARNED,
        "base_model": None,
        "recipe": {},
        "data": {},
    }
    return Manifest.model_validate(fields | changed)


def test_a_published_checkpoint_is_whole(folder: Path) -> None:
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_pair(manifest, TAXONOMY)
    assert manifest.version.startswith("ck_")


def test_one_flipped_bit_is_seen(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[500] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointInvalid, match=r"model\.safetensors is altered"):
        verify(folder, read_manifest(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointInvalid, match=r"config\.json is missing"):
        verify(folder, read_manifest(folder))


def test_a_forged_version_is_seen(folder: Path) -> None:
    manifest = manifest_of(folder, version="ck_0")
    with pytest.raises(CheckpointInvalid, match="version is not that of its files"):
        verify(folder, manifest)


def test_without_a_manifest_it_is_no_checkpoint(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(CheckpointInvalid, match="never published"):
        read_manifest(folder)
    with pytest.raises(CheckpointInvalid, match="no checkpoint directory"):
        read_manifest(folder / "nowhere")


def test_a_damaged_manifest_names_the_field(folder: Path) -> None:
    fields = json.loads((folder / MANIFEST).read_text())
    del fields["taxonomy"]
    (folder / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(CheckpointInvalid, match=r"taxonomy: Field required; publish"):
        read_manifest(folder)


def test_another_taxonomy_or_prompt_is_refused_with_what_to_do(folder: Path) -> None:
    other = taxonomy_of([Leaf(("A", "C"))])
    with pytest.raises(CheckpointInvalid, match=f"{TAXONOMY.version}, this one is {other.version}; start with"):
        check_pair(read_manifest(folder), other)
    with pytest.raises(CheckpointInvalid, match="answers prompt route/0"):
        check_pair(manifest_of(folder, prompt="route/0"), TAXONOMY)


def test_nothing_is_published_until_the_manifest_stands_under_its_name(folder: Path) -> None:
    assert not list(folder.glob(f".{MANIFEST}.*"))
    assert MANIFEST not in hashes(folder)


def test_a_calibration_that_lacks_a_level_is_refused(folder: Path) -> None:
    scale = Scale(temperature=1, bias=0)
    whole = Calibration(
        scales=dict.fromkeys(["L1", "L2", "emotion"], scale),
        review_below=0.5,
        wanted_error=0.1,
        coverage=1,
        comments=50,
        segments=50,
    )
    manifest = read_manifest(folder).model_copy(update={"calibration": whole})
    publish(folder, manifest)
    assert read_manifest(folder).calibration == whole
    check_pair(manifest, TAXONOMY)
    partial = whole.model_copy(update={"scales": {"L1": scale}})
    with pytest.raises(CheckpointInvalid, match="no scale for L2, emotion; calibrate it again"):
        check_pair(manifest.model_copy(update={"calibration": partial}), TAXONOMY)


def test_a_checkpoint_appears_with_its_manifest_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "out"
    bundled = read_manifest(folder)

    def describe(contents: Contents) -> Manifest:
        assert not out.exists(), "a reader sees nothing before all of it is there"
        return bundled.model_copy(update=contents._asdict())

    def save(place: Path) -> None:
        (place / "weights").write_bytes(b"1")

    killed = out.parent / ".out.0123.unfinished"
    killed.mkdir(parents=True)
    (killed / "weights").write_bytes(b"half")
    manifest = publish_whole(out, save, describe)
    verify(out, manifest)
    assert manifest.version == checkpoint_id(hashes(out))
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(CallWrong, match="is not empty"):
        publish_whole(out, save, lambda contents: bundled.model_copy(update=contents._asdict()))
