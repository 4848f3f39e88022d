"""What a base is to say for itself, and what comes of it: the file of chats, and its card."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from serve.engine.completion import Completer
from taxonomy.errors import CallWrong
from train.base import as_servable, base_context, base_digest, base_tokenizer
from train.data.chat_formats import Message
from train.loop.session import Say
from train.loop.stops import Stops
from train.recipe_parts import Sampling
from train.replay.card import write_page
from train.replay.filters import Excluded
from train.replay.output import Card, Origin, Output
from train.replay.prompts import digest_of, read_prompts
from train.replay.speaking import Prompt
from train.replay.turns import Turns
from train.replay.writing import Watch, write_chats

_SPARE: Final = 64
"""Tokens more than the longest turns: a text may be cut into other tokens than it was written in."""


@dataclass(frozen=True, slots=True)
class Order:
    """base: a directory, GGUF file or hub id. chats: none: as many as there are prompts.

    benchmarks: a folder of them, as `eval general` reads it; test: files of comments: neither is to be in the chats.
    """

    base: str
    chats: int | None
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    prompts: tuple[Path, ...] = ()
    benchmarks: Path | None = None
    test: tuple[Path, ...] = ()


StartCompleter = Callable[[str, int, int], Completer]
"""Starts what writes: on a model's directory or hub id, with a context, for so many tasks at once."""


def write_replay(
    order: Order, out: Path, start: StartCompleter, *, resume: bool, say: Say, watch: Watch = bool
) -> Card:
    """Write the chats into `out` (JSONL) and the card beside it; a file that is finished starts no engine.

    resume: go on with what is there. Raises CallWrong, CheckpointInvalid, DataInvalid, EngineFailed, OSError.
    """
    if order.chats is None and not order.prompts:
        raise CallWrong("say how many chats, or give prompts")
    for file in order.test:
        if not file.is_file():
            raise CallWrong(f"there is no test file {file}")
    turns = Turns(base_tokenizer(order.base))
    prompts = read_prompts(order.prompts, turns) if order.prompts else None
    excluded = Excluded(order.benchmarks, order.test)
    origin = Origin(
        base_digest=base_digest(order.base),
        seed=order.seed,
        sampling=order.sampling,
        prompts=digest_of(prompts) if prompts else None,
        excluded=excluded.digest,
    )
    context = _context(order, turns, prompts)
    with ExitStack() as held:
        output = Output(out, Card(base=order.base, origin=origin, asked_for=order.chats), resume=resume)
        held.enter_context(output)
        if output.card.tried:
            say(f"going on after {output.card.kept} chats")
        if not output.card.is_finished:
            model = as_servable(order.base, Path(held.enter_context(tempfile.TemporaryDirectory())))
            say(f"starting the engine on {order.base}")
            completer = start(model, context, order.sampling.batch)

            async def written() -> None:
                try:
                    await write_chats(output, completer, turns, excluded, prompts=prompts, watch=watch)
                finally:
                    await completer.close()

            # The engine is closed on the way out, whichever signal it is that asks for it.
            with Stops(say):
                asyncio.run(written())
        output.save()
        write_page(output.card, out)
        return output.card


def _context(order: Order, turns: Turns, prompts: list[Prompt] | None) -> int:
    """As much as the longest chat may take, within what the base has. Raises CallWrong where that is too little."""
    stated, sampling = base_context(order.base), order.sampling
    if prompts is not None:
        longest = max(turns.length(prompt) + sampling.answer_tokens * _answers(prompt) for prompt in prompts)
        return min(longest + _SPARE, stated)
    needed = len(turns.asked([Message("user", "")])) + sampling.question_tokens + sampling.answer_tokens
    if needed > stated:
        raise CallWrong(
            f"a question of {sampling.question_tokens} tokens and an answer of {sampling.answer_tokens} do not go into "
            f"the {stated} that {order.base} holds; give fewer"
        )
    return min(needed + _SPARE, stated)


def _answers(prompt: Prompt) -> int:
    return sum(turn.role == "user" for turn in prompt)
