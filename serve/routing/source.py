"""What a model's name stands for: a checkpoint with its manifest, an adapter over one, or a base model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from serve.routing.model_files import CONFIG, GGUF, check_model_files, looks_like_model
from serve.routing.packaged import base_directory, is_packaged
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, check_pair, read_manifest, verify
from taxonomy.labels import CheckpointId
from taxonomy.language.forms import Form
from taxonomy.language.prompt import PromptStyle
from taxonomy.tree import Taxonomy


class Source(NamedTuple):
    """What is to be loaded: weights, perhaps an adapter of them, and what is known of both."""

    checkpoint: CheckpointId
    path: str
    adapter: str | None
    style: PromptStyle
    calibration: Calibration | None
    form: Form = Form.VERBATIM


def source_of(model: str, taxonomy: Taxonomy, cache: Path, bases: Callable[[CheckpointId], Path] | None) -> Source:
    """A checkpoint's files are hashed, a base's are looked at. Raises CheckpointInvalid.

    cache: where a packaged base becomes a directory.
    """
    folder = Path(model)
    if is_base_model(model):
        path = base_directory(model, cache)
        check_model_files(path)
        return Source(CheckpointId(f"base:{model}"), path, None, PromptStyle.IN_CONTEXT, None)
    manifest = _sound(folder, taxonomy)
    whole, below, adapter = folder, manifest, None
    if manifest.adapter_of:
        whole, adapter = bases(manifest.adapter_of) if bases else folder.parent / manifest.adapter_of, model
        below = _sound(whole, taxonomy)
    path = _whole_weights(whole, below, cache)
    return Source(manifest.version, path, adapter, manifest.prompt_style, manifest.calibration, manifest.form)


def loadable(model: str, cache: Path) -> str:
    """What any engine or library loads: of a packaged base, or a checkpoint over one, its whole directory in `cache`.

    Anything else as it is. Raises CheckpointInvalid or CallWrong, as `base_directory`.
    """
    folder = Path(model)
    if (folder / MANIFEST).is_file() and not (folder / CONFIG).is_file():
        manifest = read_manifest(folder)
        verify(folder, manifest)
        return _whole_weights(folder, manifest, cache)
    return base_directory(model, cache)


def _whole_weights(folder: Path, manifest: Manifest, cache: Path) -> str:
    if manifest.delta_of is None:
        return str(folder)
    from serve.routing.merged import merged_directory  # noqa: PLC0415 (what a model is, is known without torch)

    return str(merged_directory(folder, manifest, manifest.delta_of, cache))


def _sound(folder: Path, taxonomy: Taxonomy) -> Manifest:
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_pair(manifest, taxonomy)
    return manifest


def is_base_model(model: str) -> bool:
    """A model's directory or file that was never ours, a packaged base's name, or a hub id such as `org/name`."""
    if is_packaged(model):
        return True
    folder = Path(model)
    if folder.is_dir():
        return not (folder / MANIFEST).is_file() and looks_like_model(folder)
    if folder.is_file():
        return True
    if folder.is_absolute() or folder.suffix == GGUF:
        return False
    return model.count("/") == 1 and not model.startswith(".")
