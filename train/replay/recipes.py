"""A recipe's replay that the base makes of itself, made before the training and kept for the next one.

It is made by a process of its own: an engine sets threads and memory for all that comes after it, and what was trained
would depend on whether there had been one.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from taxonomy.errors import ProcessFailed
from train.base import base_digest
from train.loop.session import Say
from train.recipe_parts import DataPart, LabelledFiles, Replay, StartPart
from train.replay.filters import Excluded
from train.replay.order import Order
from train.replay.output import read_card

OWN: Final = "replay"
"""The name of the folder in which such chats are kept."""
_LAUNCHERS: Final = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "MASTER_",
    "TORCHELASTIC_",
    "ACCELERATE_",
    "FSDP_",
)
"""How the variables begin by which a process learns that it is one of a training's."""
_LEAVES_S: Final = 60
"""Within which an interrupted one has to be gone."""


def with_own_chats(data: DataPart, start: StartPart, cache: Path, say: Say) -> DataPart:
    """The data, each of whose `self` sources is the file of its chats; those that the cache lacks are made.

    Raises ProcessFailed, and what `write_replay` raises of what it is given.
    """
    return replace(data, replay=[_made(source, data, start, cache, say) for source in data.replay])


def order_of(source: Replay, data: DataPart, base: str) -> Order:
    """What a source asks for: nothing of the benchmarks, of the test comments or of the validation's is in it."""
    test = data.corpus.test if isinstance(data.corpus, LabelledFiles) else []
    held_out = data.choose.validation if data.choose else []
    return Order(
        base=base,
        chats=source.self,
        seed=data.seed,
        sampling=source.sampling,
        prompts=(*map(Path, source.prompts or ()),),
        benchmarks=Path(data.benchmarks) if data.benchmarks else None,
        test=(*map(Path, (*test, *held_out)),),
    )


def kept_at(order: Order, cache: Path) -> Path:
    """The file of a cache in which these chats stand, or will. Raises CheckpointInvalid, CallWrong, DataInvalid."""
    what = {
        "base": base_digest(order.base),
        "chats": order.chats,
        "seed": order.seed,
        "sampling": order.sampling.model_dump(mode="json"),
        "prompts": [hashlib.sha256(file.read_bytes()).hexdigest() for file in order.prompts],
        "excluded": Excluded(order.benchmarks, order.test).digest,
    }
    return cache / f"{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}.jsonl"


def _made(source: Replay, data: DataPart, start: StartPart, cache: Path, say: Say) -> Replay:
    if source.self is None or start.weights is None:
        return source
    order = order_of(source, data, start.weights)
    file = kept_at(order, cache)
    card = read_card(file)
    if not (card and card.is_finished):
        say(f"replay {source.name}: {start.weights} speaks for itself, {source.self} chats, into {file}")
        _run(call_of(order, file), _environment(os.environ), source.name)
    else:
        say(f"replay {source.name}: {card.kept} chats of the base's own are in {file} already")
    return source.model_copy(update={"self": None, "prompts": None, "chats": [str(file)]})


def call_of(order: Order, file: Path) -> list[str]:
    """The command that makes them, or goes on with them."""
    sampling = order.sampling.model_dump()
    options: list[tuple[str, object]] = [
        *((("chats", order.chats),) if order.chats else ()),
        ("seed", order.seed),
        *(("temperature", each) for each in sampling.pop("temperatures")),
        *((name.replace("_", "-"), value) for name, value in sampling.items()),
        *(("prompts", prompts) for prompts in order.prompts),
        *(("test", test) for test in order.test),
        *((("general", order.benchmarks),) if order.benchmarks else ()),
    ]
    words = ["train", "replay", order.base, str(file), "--resume"]
    return [*words, *(word for name, value in options for word in (f"--{name}", str(value)))]


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would make it one of a training's processes."""
    return {name: value for name, value in environment.items() if not name.startswith(_LAUNCHERS)}


def _run(call: Sequence[str], environment: Mapping[str, str], name: str) -> None:
    """Its progress is ours. What interrupts us interrupts it once, so that it leaves the engine in order."""
    program = [sys.executable, "-m", "route_feedback", *call]
    with subprocess.Popen(program, env=environment, stdout=sys.stderr, start_new_session=True) as process:  # noqa: S603
        try:
            code = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_LEAVES_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if code:
        raise ProcessFailed(f"replay {name}: no chats could be made (exit code {code}); --resume goes on with them")
