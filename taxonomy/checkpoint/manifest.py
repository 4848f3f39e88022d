"""A checkpoint: a Hugging Face model directory and the `manifest.json` that says what it is and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from glob import escape
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.checkpoint.gate_record import GateRecord
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.files import UNFINISHED, appeared, whole
from taxonomy.labels import LEVELS, CheckpointId
from taxonomy.language.forms import Form
from taxonomy.language.prompt import PromptStyle, prompt_version
from taxonomy.tree import Taxonomy

MANIFEST: Final = "manifest.json"


class DeltaOf(BaseModel):
    """The packaged base that a checkpoint's files are to be added to.

    digest: SHA-256 of the base's file. dtype: of the whole weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    digest: str
    dtype: Literal["bfloat16", "float32"]


class Manifest(BaseModel):
    """What the service must know of a checkpoint and can check.

    version: the checkpoint's id, a hash of the files. files: SHA-256 of each.
    form: of its answers; those made before there was another are verbatim.
    adapter_of: the checkpoint whose weights these are to be added to, by an engine.
    delta_of: the packaged base whose weights these are to be added to, before an engine loads them.
    data: hash and size of each data set by its role.
    scores: what was measured, by name. training: how long it took and on what.
    calibration: what its probabilities are worth. decision: what the gate said of it.
    fingerprint: how the engine proves that it serves this.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: CheckpointId
    files: dict[str, str]
    taxonomy: str
    prompt: str
    prompt_style: PromptStyle
    form: Form = Form.VERBATIM
    base_model: str | None
    adapter_of: CheckpointId | None = None
    delta_of: DeltaOf | None = None
    recipe: dict[str, Any]
    data: dict[str, dict[str, Any]]
    training: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    calibration: Calibration | None = None
    decision: GateRecord | None = None
    fingerprint: Fingerprint | None = None


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint but the manifest, by name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != MANIFEST)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def checkpoint_id(files: Mapping[str, str]) -> CheckpointId:
    """The id that the files' hashes make: the same content has the same id, everywhere."""
    text = json.dumps(sorted(files.items()))
    return CheckpointId("ck_" + hashlib.sha256(text.encode()).hexdigest()[:16])


def publish(folder: Path, manifest: Manifest) -> None:
    """Write the manifest last, by rename: a directory without one is no checkpoint. Several may do so at once."""
    with whole(folder / MANIFEST) as part:
        part.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


class Contents(NamedTuple):
    """What a manifest says of a checkpoint's files: their hashes, and the id that these make."""

    version: CheckpointId
    files: dict[str, str]


def publish_whole(folder: Path, save: Callable[[Path], None], describe: Callable[[Contents], Manifest]) -> Manifest:
    """Have a checkpoint appear by one rename: what `save` writes, and the manifest that `describe` makes of it.

    Whatever is killed when, `folder` holds all of it or nothing; what a killed process left beside it is removed.
    Raises CallWrong where it is not empty, OSError.
    """
    for left in folder.parent.glob(f".{escape(folder.name)}.*{UNFINISHED}"):
        shutil.rmtree(left)

    def write(unfinished: Path) -> None:
        save(unfinished)
        files = hashes(unfinished)
        publish(unfinished, describe(Contents(checkpoint_id(files), files)))

    if not appeared(folder, write):
        raise CallWrong(f"{folder} is not empty; give another --out or remove it")
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Raises CheckpointInvalid with what to do."""
    file = folder / MANIFEST
    if not folder.is_dir():
        raise CheckpointInvalid(f"there is no checkpoint directory {folder}; give one with --checkpoint")
    if not file.is_file():
        raise CheckpointInvalid(f"{folder} has no {MANIFEST}, so it was never published; train it again to its end")
    return parsed_manifest(file.read_bytes(), str(file))


def parsed_manifest(data: bytes, name: str) -> Manifest:
    """name: of what held it. Raises CheckpointInvalid with what to do."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CheckpointInvalid(f"{name}: {where}: {first['msg']}; publish the checkpoint again") from error


def verify(folder: Path, manifest: Manifest) -> None:
    """Every file is there and as it was published. Raises CheckpointInvalid naming those that are not."""
    now = hashes(folder)
    wrong = sorted(name for name, digest in manifest.files.items() if now.get(name) != digest)
    if wrong:
        states = ", ".join(f"{name} is {'altered' if name in now else 'missing'}" for name in wrong)
        raise CheckpointInvalid(f"{folder}: {states}; copy the checkpoint again")
    if checkpoint_id(manifest.files) != manifest.version:
        raise CheckpointInvalid(f"{folder}: the manifest's version is not that of its files; publish it again")


def check_pair(manifest: Manifest, taxonomy: Taxonomy) -> None:
    """The checkpoint was made for this taxonomy and this service's prompt. Raises CheckpointInvalid."""
    if manifest.prompt_style is PromptStyle.LEARNED and manifest.taxonomy != taxonomy.version:
        raise CheckpointInvalid(
            f"checkpoint {manifest.version} was trained on taxonomy {manifest.taxonomy}, this one is "
            f"{taxonomy.version}; start with the taxonomy it was trained on, or train it on this one"
        )
    levels = {*LEVELS[: taxonomy.depth], "emotion"}
    if manifest.calibration and (lacking := levels - manifest.calibration.scales.keys()):
        raise CheckpointInvalid(
            f"checkpoint {manifest.version}: its calibration has no scale for {', '.join(sorted(lacking))}; "
            "calibrate it again"
        )
    if manifest.prompt != (asks := prompt_version(manifest.form)):
        raise CheckpointInvalid(
            f"checkpoint {manifest.version} answers prompt {manifest.prompt}, this service asks {asks}; "
            "train it again or install the release that it was made with"
        )
