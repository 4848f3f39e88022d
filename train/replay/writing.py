"""A file of a base's own chats, written batch by batch; a run that was stopped goes on with the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from serve.engine.completion import Completer
from taxonomy.errors import DataInvalid
from train.replay.filters import ChatFilter, Excluded
from train.replay.output import Card, Output
from train.replay.speaking import Candidate, Prompt, Speaker
from train.replay.turns import Turns

Watch = Callable[[Card], object]
"""Told of the card after each batch."""
TRIED: Final = 200
LEAST_KEPT: Final = 0.02
"""A base of whose first chats, so many at least, fewer are kept does not speak for itself."""


async def write_chats(
    output: Output,
    completer: Completer,
    turns: Turns,
    excluded: Excluded,
    *,
    prompts: Sequence[Prompt] | None = None,
    watch: Watch = bool,
) -> Card:
    """Until as many are kept as the card asks for, or no prompt is left. The output is open.

    Raises EngineFailed, OSError, and DataInvalid where next to nothing of what the base says can be used.
    """
    card = output.card
    speaker = Speaker(completer, turns, card.origin.sampling, card.origin.seed)
    chosen = ChatFilter(excluded, output.chats())
    card.engine = completer.kind
    while not card.is_finished:
        end = card.tried + card.origin.sampling.batch
        numbers = range(card.tried, end if prompts is None else min(end, len(prompts)))
        said = await _all([speaker.chat(i, prompts[i] if prompts else None) for i in numbers])
        output.add(_judged(said, chosen, card), chosen.languages)
        if prompts is not None and card.tried == len(prompts):
            card.exhausted = True
            output.save()
        watch(card)
        _check_yield(card)
    return card


async def _all(chats: Sequence[Coroutine[Any, Any, Candidate]]) -> list[Candidate]:
    """All of them at once; where one fails, or this is cancelled, the others are cancelled too."""
    tasks = [asyncio.ensure_future(chat) for chat in chats]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _judged(said: Sequence[Candidate], chosen: ChatFilter, card: Card) -> list[Candidate]:
    """In their order, up to the last that is asked for."""
    judged: list[Candidate] = []
    missing = None if card.asked_for is None else card.asked_for - card.kept
    for candidate in said:
        if missing == 0:
            break
        reason = candidate.reason or chosen.reason(candidate.messages)
        judged.append(candidate if candidate.reason else candidate._replace(part="chat", reason=reason))
        if missing is not None and reason is None:
            missing -= 1
    return judged


def _check_yield(card: Card) -> None:
    if card.tried >= TRIED and card.kept < LEAST_KEPT * card.tried and not card.is_finished:
        worst = max(card.left_out, key=lambda name: card.left_out[name])
        raise DataInvalid(
            f"of {card.tried} chats of {card.base} {card.kept} can be used ({card.left_out[worst]} are left out for "
            f"{worst!r}); take an instruct model, lower temperatures, or give prompts"
        )
