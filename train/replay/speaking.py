"""One chat of a base's own: what the user says, unless that is given, and each answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from serve.engine.completion import Completer, Completion, CompletionTask
from train.data.chat_formats import Message
from train.recipe_parts import Sampling
from train.replay.filters import SHORTEST, Reason, fault_of_turn
from train.replay.turns import TurnEnd, Turns

Prompt = tuple[Message, ...]
"""What is given of a chat: perhaps a system message, and the user's turns in their order."""


class Candidate(NamedTuple):
    """A chat, or what was said of it up to the turn for which it is left out: whose, and why.

    temperature: of its question; none where that was given.
    """

    number: int
    temperature: float | None
    messages: tuple[Message, ...]
    part: str = ""
    reason: str | None = None


class Speaker:
    """A base that speaks. Candidate `i` depends on the seed and its number alone, whatever else is written with it."""

    def __init__(self, completer: Completer, turns: Turns, sampling: Sampling, seed: int) -> None:
        self._completer, self._turns, self._sampling, self._seed = completer, turns, sampling, seed

    async def chat(self, number: int, given: Prompt | None = None) -> Candidate:
        """given: what the template has a place for. Raises EngineFailed."""
        if given is None:
            return await self._of_itself(number)
        return await self._answered(number, None, given)

    async def _of_itself(self, number: int) -> Candidate:
        sampling = self._sampling
        temperature = sampling.temperatures[number % len(sampling.temperatures)]
        turns = self._turns
        said = await self._said(
            turns.opening, turns.user_end, sampling.question_tokens, temperature, self._seed_of(number, 0)
        )
        text = said.text.strip() if said else ""
        reason = fault_of_turn(said, turns.user_end, turns, SHORTEST) if said else Reason.NO_ROOM
        if reason:
            return Candidate(number, temperature, (Message("user", text),), "question", reason)
        return await self._answered(number, temperature, (Message("user", text),))

    async def _answered(self, number: int, temperature: float | None, given: Prompt) -> Candidate:
        """Each of the user's turns after the answers before it."""
        messages: list[Message] = []
        for turn in given:
            messages.append(turn)
            if turn.role != "user":
                continue
            sampling, seed = self._sampling, self._seed_of(number, len(messages))
            end = self._turns.answer_end
            said = await self._said(
                self._turns.asked(messages), end, sampling.answer_tokens, sampling.answer_temperature, seed
            )
            reason = fault_of_turn(said, end, self._turns) if said else Reason.NO_ROOM
            if said:
                messages.append(Message("assistant", said.text.strip()))
            if reason:
                return Candidate(number, temperature, tuple(messages), "answer", reason)
        return Candidate(number, temperature, tuple(messages))

    async def _said(
        self, prompt: Sequence[int], end: TurnEnd, max_tokens: int, temperature: float, seed: int
    ) -> Completion | None:
        """None where the context has no room for it."""
        if len(prompt) + max_tokens > self._completer.context:
            return None
        return await self._completer.complete(
            CompletionTask(
                prompt=tuple(prompt),
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=self._sampling.top_p,
                seed=seed,
                # Whatever control token comes, the turn is over; which one it was says whether it is a whole turn.
                ends=self._turns.special,
                end_texts=(end.text,) if end.text else (),
            )
        )

    def _seed_of(self, number: int, turn: int) -> int:
        digest = hashlib.blake2b(f"{self._seed}/{number}/{turn}".encode(), digest_size=4).digest()
        return int.from_bytes(digest) >> 1
