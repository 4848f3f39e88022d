"""A checkpoint that is what was learned over a packaged base: added to the base's weights once, in the cache."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from serve.routing.packaged import base_below, directory_of, made_once
from taxonomy.checkpoint.adapter import CONFIG, WEIGHTS
from taxonomy.checkpoint.manifest import DeltaOf, Manifest
from taxonomy.errors import CheckpointInvalid

_STEM: Final = "base_model.model."
"""How PEFT begins the name of every tensor."""
_DOWN: Final = ".lora_A.weight"
_UP: Final = ".lora_B.weight"
_ROWS: Final = ".token_adapter.trainable_tokens_delta"
_UNREAD: Final = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "fan_in_fan_out")
"""Keys of PEFT's configuration that change what is added, and that no checkpoint of ours has."""


class _Adapter(NamedTuple):
    """scale: of the products. tokens: whose rows of the embeddings are replaced. tensors: by PEFT's names."""

    scale: float
    tokens: list[int]
    tensors: dict[str, torch.Tensor]


def merged_directory(folder: Path, manifest: Manifest, delta: DeltaOf, cache: Path) -> Path:
    """The whole model's directory below `cache`, made there if need be; it appears whole, by one rename.

    folder: of the checkpoint, whose hashes are checked already. Raises CheckpointInvalid where base and checkpoint do
    not go together, or the base's package is not installed; CallWrong where the cache cannot be written to.
    """
    base = base_below(manifest.version, delta)
    place = cache / "merged" / f"{manifest.version}-{delta.dtype}-{base.directory}"
    if not place.is_dir():
        made_once(place, partial(_write, folder, manifest, delta, directory_of(base, cache)))
    return place


def _write(folder: Path, manifest: Manifest, delta: DeltaOf, base: Path, whole: Path) -> None:
    adapter = _read(folder, delta)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    try:
        _add(adapter, model)
    except (
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
    ) as error:  # a name or a shape that the base does not have
        reason = " ".join(str(error).split())[:300]
        raise CheckpointInvalid(f"{folder / WEIGHTS} does not fit {delta.base} ({reason}); train it again") from error
    model.to(getattr(torch, delta.dtype)).save_pretrained(whole)
    for name in manifest.files.keys() - {CONFIG, WEIGHTS}:
        shutil.copyfile(folder / name, whole / name)


def _read(folder: Path, delta: DeltaOf) -> _Adapter:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_bytes())
        tensors = load_file(folder / WEIGHTS)
        over = config["base_model_name_or_path"], config["revision"]
        scale = config["lora_alpha"] / config["r"]
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, SafetensorError) as error:
        raise CheckpointInvalid(
            f"{folder}: {CONFIG} or {WEIGHTS} cannot be read ({error!r:.200}); copy it again"
        ) from error
    if over != (delta.base, delta.digest):
        said = " of ".join(map(str, over))
        raise CheckpointInvalid(f"{folder / CONFIG} is over {said}, the manifest says {delta.base} of {delta.digest}")
    if unread := [key for key in _UNREAD if config.get(key)]:
        raise CheckpointInvalid(
            f"{folder / CONFIG} has {', '.join(unread)}, which are not merged; train it with `lora`"
        )
    return _Adapter(scale, config.get("trainable_token_indices") or [], tensors)


@torch.no_grad()
def _add(adapter: _Adapter, model: PreTrainedModel) -> None:
    """The arithmetic is PEFT's own, in float32, so that the sum is what a training would publish, to the bit."""
    _make_room(adapter.tokens, model)
    for name, tensor in adapter.tensors.items():
        place = name.removeprefix(_STEM)
        if place.endswith(_DOWN):
            up = adapter.tensors[name.removesuffix(_DOWN) + _UP]
            weight = model.get_parameter(place.removesuffix(_DOWN) + ".weight")
            weight += (up.float() @ tensor.float()) * adapter.scale
        elif place.endswith(_ROWS):
            weight = model.get_parameter(place.removesuffix(_ROWS) + ".weight")
            weight.index_copy_(0, torch.tensor(adapter.tokens), tensor.float())
        elif not place.endswith(_UP):
            raise KeyError(name)


def _make_room(tokens: list[int], model: PreTrainedModel) -> None:
    """Rows for tokens that the base has none of. Raises KeyError where one of them would be left to chance."""
    had = model.get_input_embeddings().num_embeddings
    rows = max([had - 1, *tokens]) + 1
    if lacking := set(range(had, rows)) - set(tokens):
        raise KeyError(f"no row for token {min(lacking)}")
    if rows > had:
        model.resize_token_embeddings(rows, mean_resizing=False)
