"""A base model's directory: whether all that an engine loads is there, said before anything heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from taxonomy.errors import CheckpointInvalid

CONFIG: Final = "config.json"
INDEX: Final = "model.safetensors.index.json"
GGUF: Final = ".gguf"
_PARTS: Final = (CONFIG, "*.safetensors", "*.gguf", "tokenizer*")
_PICKLED: Final = ("*.bin", "*.pt", "*.pth")
_POINTER: Final = b"version https://git-lfs"
_LENGTH: Final = 8
"""Bytes that say how long the header of a safetensors file is."""


def looks_like_model(folder: Path) -> bool:
    """Whether a directory holds something of a model, if not all of it."""
    return any(True for pattern in _PARTS for _ in folder.glob(pattern))


def check_model_files(model: str) -> None:
    """Nothing is checked of a hub's id. Raises CheckpointInvalid naming what is missing, or of a kind that is not read.

    A checkpoint of ours has hashes of its files, and needs none of this.
    """
    place = Path(model)
    if place.is_file():
        what = "is a GGUF file" if place.suffix == GGUF else "is a file"
        raise CheckpointInvalid(f"{model} {what}, not a model's directory; {_remedy(place.suffix)}")
    if place.is_dir():
        _check_config(place)
        _check_weights(place)


def _remedy(suffix: str) -> str:
    if suffix == GGUF:
        return "the service reads safetensors: train from it (`base` in a recipe), or take the model it was made of"
    return "give a directory with config.json, safetensors and a tokenizer"


def _check_config(folder: Path) -> None:
    if not (folder / CONFIG).is_file():
        gguf = sorted(folder.glob("*.gguf"))
        what = f"holds {gguf[0].name} and no {CONFIG}" if gguf else f"has no {CONFIG}"
        raise CheckpointInvalid(f"{folder} {what}; {_remedy(GGUF if gguf else '')}")
    config = _read_object(folder / CONFIG)
    for key in ("model_type", "architectures"):
        if not config.get(key):
            raise CheckpointInvalid(f"{folder / CONFIG} names no {key}, so no engine can load it; add the model's own")


def _check_weights(folder: Path) -> None:
    if (folder / INDEX).is_file():
        for name in _shards(folder / INDEX):
            if not (folder / name).is_file():
                raise CheckpointInvalid(f"{folder}: {name} is missing, which {INDEX} names; copy the model again")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointInvalid(f"{folder} {_instead(folder)}")
    for file in files:
        _check_whole(file)


def _shards(index: Path) -> list[str]:
    """The files that an index says the weights lie in."""
    named = _read_object(index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise CheckpointInvalid(f"{index}: weight_map names no files; copy the model again")
    return sorted(set(named.values()))


def _instead(folder: Path) -> str:
    """What a directory without safetensors holds, and what to do."""
    if pickled := sorted(file for pattern in _PICKLED for file in folder.glob(pattern)):
        return (
            f"holds its weights pickled ({pickled[0].name}), which the service does not load: save them as safetensors "
            "(`AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(DIR)`)"
        )
    if gguf := sorted(folder.glob("*.gguf")):
        return f"holds its weights as GGUF ({gguf[0].name}); {_remedy(GGUF)}"
    return "holds no weights (*.safetensors); copy the model again"


def _check_whole(file: Path) -> None:
    """A safetensors file is as long as its header says."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        begins = opened.read(_LENGTH)
        if begins + opened.read(len(_POINTER) - _LENGTH) == _POINTER:
            raise CheckpointInvalid(f"{file} is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`")
        length = int.from_bytes(begins, "little")
        opened.seek(_LENGTH)
        try:
            tensors = json.loads(opened.read(length)) if length < size else {}
            ends = max((tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise CheckpointInvalid(f"{file} is no safetensors file, or is cut short; copy the model again") from None
    if _LENGTH + length + ends != size:
        raise CheckpointInvalid(f"{file} has {size} bytes of {_LENGTH + length + ends}; copy the model again")


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointInvalid(f"{file} cannot be read ({' '.join(str(error).split())}); copy it again") from error
    if not isinstance(content, dict):
        raise CheckpointInvalid(f"{file} holds no JSON object; copy it again")
    return content
