"""The seam between the service and whatever decodes: one protocol, and a scripted engine that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from taxonomy.automaton import Automaton


@dataclass(frozen=True, slots=True)
class Task:
    """One comment to decode. `grammar` is the constraint's text; `max_tokens` bounds the longest answer in it."""

    request_id: str
    prompt: tuple[int, ...]
    chunks: tuple[str, ...]
    grammar: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The answer's tokens, the end token included, and of each the log-probability among those allowed there."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.logprobs):
            raise ValueError(f"{len(self.tokens)} tokens with {len(self.logprobs)} log-probabilities")


class Engine(Protocol):
    """Decodes tasks greedily, as many at once as it is given.

    `decode` raises EngineFailed; cancelling it frees what the task held. `close` may be called twice.
    """

    async def decode(self, task: Task) -> Decoded: ...
    async def close(self) -> None: ...


Choose = Callable[[tuple[int, ...]], tuple[int, float]]


class ScriptedEngine:
    """An engine without a model: at every decision `choose` picks among the allowed tokens, with a log-probability."""

    def __init__(self, automaton: Automaton, choose: Choose) -> None:
        self._automaton = automaton
        self._choose = choose

    async def decode(self, task: Task) -> Decoded:
        walk = self._automaton.walk(task.chunks)
        tokens, logprobs = [], []
        while not walk.is_done:
            allowed = walk.allowed
            token, logprob = (allowed[0], 0.0) if len(allowed) == 1 else self._choose(allowed)
            walk.advance(token)
            tokens.append(token)
            logprobs.append(logprob)
        return Decoded(tuple(tokens), tuple(logprobs))

    async def close(self) -> None:
        """Nothing is held."""
