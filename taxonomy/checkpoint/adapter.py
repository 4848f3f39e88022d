"""A checkpoint that is an adapter: small weights in PEFT's format, to be added to those of another checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from taxonomy.checkpoint.manifest import Manifest, checkpoint_id, hashes, publish
from taxonomy.errors import CheckpointInvalid
from taxonomy.files import write_text

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"


def adapter_of(folder: Path, base: Manifest) -> Manifest:
    """Publish a directory in PEFT's format as a checkpoint over another. Raises CheckpointInvalid where it is none.

    PEFT's own field for the base then holds the base's id, so that one adapter over two bases is two checkpoints.
    """
    if missing := [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]:
        raise CheckpointInvalid(f"{folder} has no {' and no '.join(missing)}; give a directory that PEFT has saved")
    try:
        config = {**json.loads((folder / CONFIG).read_bytes()), "base_model_name_or_path": base.version}
    except (ValueError, TypeError) as error:
        raise CheckpointInvalid(f"{folder / CONFIG} is no JSON object ({error}); save the adapter again") from error
    if config.get("peft_type") != "LORA":
        raise CheckpointInvalid(f"{folder / CONFIG}: peft_type is {config.get('peft_type')}, only LORA can be served")
    write_text(json.dumps(config, indent=1) + "\n", folder / CONFIG)
    files = hashes(folder)
    ours: dict[str, Any] = {"version": checkpoint_id(files), "files": files, "adapter_of": base.version}
    # What was found out about the base, and how that was made, says nothing about this.
    unknown: dict[str, Any] = {"recipe": {}, "data": {}, "training": {}, "scores": {}}
    none = {"delta_of": None, "calibration": None, "decision": None, "fingerprint": None}
    manifest = base.model_copy(update=ours | unknown | none)
    publish(folder, manifest)
    return manifest
