"""The seam between the service and whatever decodes: one protocol, and a scripted engine that keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from serve.engine.model import Model
from taxonomy.errors import EngineFailed
from taxonomy.language.automaton import Automaton


@dataclass(frozen=True, slots=True)
class Task:
    """One comment to decode: the prompt's tokens, the comment's chunks, and their tokens as they stand in an answer."""

    request_id: str
    prompt: tuple[int, ...]
    chunks: tuple[str, ...]
    chunk_tokens: tuple[tuple[int, ...], ...]


MOST_ALTERNATIVES: Final = 19
"""So many alternatives an engine tells of a decision at most: vLLM tells of 20 tokens, unless it is asked for more."""


class Alternative(NamedTuple):
    """An allowed token that was not taken, and its log-probability among the allowed ones."""

    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """An answer's decisions in order: each one's token, and its log-probability among the tokens allowed there.

    All other tokens of the answer are forced; `Automaton.walk` has them. masking_s: seconds that the engine spent on
    masks and on advancing for it. alternatives: of each decision the other tokens, the likeliest first, those without
    any probability left out; MOST_ALTERNATIVES at most. Either is None where the engine does not say.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    masking_s: float | None = field(default=None, compare=False)
    alternatives: tuple[tuple[Alternative, ...], ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.logprobs):
            raise ValueError(f"{len(self.tokens)} tokens with {len(self.logprobs)} log-probabilities")
        if self.alternatives is not None and len(self.tokens) != len(self.alternatives):
            raise ValueError(f"{len(self.tokens)} tokens with alternatives of {len(self.alternatives)}")


class Engine(Protocol):
    """Decodes tasks greedily, as many at once as it is given.

    `decode` raises EngineFailed; cancelling it frees what the task held. `reload` takes the weights of another model of
    the same automaton and architecture, while nothing is decoded; where it raises EngineFailed, the engine has neither
    one's. Where it carries another model (the same weights with another adapter or none), `beside` gives an engine that
    decides by that model and shares the memory, or raises EngineFailed; each is closed for itself. `close` may be
    called twice. What is not alive will never decode again. kind: its device and dtype, such as cpu/float32; on them
    depends how exactly log-probabilities repeat.
    """

    @property
    def is_alive(self) -> bool: ...
    @property
    def kind(self) -> str: ...
    async def decode(self, task: Task) -> Decoded: ...
    async def reload(self, model: Model) -> None: ...
    def carries(self, model: Model) -> bool: ...
    async def beside(self, model: Model) -> Engine: ...
    async def close(self) -> None: ...


Choose = Callable[[tuple[int, ...]], tuple[int, float]]


class SingleModel:
    """What an engine says that decides by one model for as long as it lives, and holds nothing to be freed."""

    async def reload(self, model: Model) -> None:
        raise EngineFailed(f"this engine cannot take the weights of {model.checkpoint}")

    def carries(self, model: Model) -> bool:  # noqa: ARG002
        return False

    async def beside(self, model: Model) -> Engine:
        raise EngineFailed(f"this engine has no place for {model.checkpoint}")

    async def close(self) -> None:
        """Nothing is held."""


class ScriptedEngine(SingleModel):
    """An engine without a model: at every decision `choose` picks among the allowed tokens, with a log-probability.

    The other tokens have what that leaves, all alike.
    """

    kind = "scripted/float32"

    def __init__(self, automaton: Automaton, choose: Choose) -> None:
        self._automaton = automaton
        self._choose = choose
        self.is_alive = True

    async def decode(self, task: Task) -> Decoded:
        walk = self._automaton.walk(task.chunk_tokens)
        tokens, logprobs, alternatives = [], [], []
        while not walk.is_done:
            token, logprob = self._choose(allowed := walk.allowed)
            walk.decide(token)
            tokens.append(token)
            logprobs.append(logprob)
            alternatives.append(_alike([other for other in allowed if other != token], 1 - math.exp(logprob)))
        return Decoded(tuple(tokens), tuple(logprobs), alternatives=tuple(alternatives))

    async def reload(self, model: Model) -> None:
        """It decides as before: it has no weights."""


def _alike(tokens: Sequence[int], probability: float) -> tuple[Alternative, ...]:
    if probability <= 0:
        return ()
    return tuple(Alternative(token, math.log(probability / len(tokens))) for token in tokens[:MOST_ALTERNATIVES])
