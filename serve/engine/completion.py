"""The seam between what needs free text of a model and what writes it: one protocol, and a scripted completer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from taxonomy.errors import EngineFailed


@dataclass(frozen=True, slots=True)
class CompletionTask:
    """A prompt's tokens to go on from. ends: tokens, end_texts: texts, any of which ends what is written.

    temperature: 0 is greedy. seed: the same task with the same seed is written alike, as far as rounding lets it.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    ends: frozenset[int]
    end_texts: tuple[str, ...] = ()

    def check(self, context: int) -> None:
        """Raises EngineFailed where there is nothing to go on from, or no room for it."""
        if not self.prompt or len(self.prompt) + self.max_tokens > context:
            raise EngineFailed(
                f"a prompt of {len(self.prompt)} tokens and {self.max_tokens} after it: the context holds {context}"
            )


class Completion(NamedTuple):
    """What was written, without what ended it; ended_by: none where it was cut off after `max_tokens`."""

    text: str
    ended_by: int | str | None


class Completer(Protocol):
    """Completes tasks, as many at once as it is given. context: the tokens of a prompt and what is written after it.

    `complete` raises EngineFailed; cancelling it frees what the task held. `close` may be called twice. kind: the
    device and dtype, such as cpu/float32.
    """

    @property
    def context(self) -> int: ...
    @property
    def kind(self) -> str: ...
    async def complete(self, task: CompletionTask) -> Completion: ...
    async def close(self) -> None: ...


class Written(NamedTuple):
    """A token and its text."""

    token: int
    text: str


Script = Callable[[CompletionTask], Iterable[Written]]
"""What would be written after a prompt if nothing ended it."""


class ScriptedCompleter:
    """A completer without a model: it writes what the script says, as far as the task lets it."""

    kind = "scripted/float32"

    def __init__(self, script: Script, context: int) -> None:
        self._script = script
        self.context = context

    async def complete(self, task: CompletionTask) -> Completion:
        task.check(self.context)
        text = ""
        for token, piece in islice(self._script(task), task.max_tokens):
            if token in task.ends:
                return Completion(text, token)
            text += piece
            for end in task.end_texts:
                if (at := text.find(end)) >= 0:
                    return Completion(text[:at], end)
        return Completion(text, None)

    async def close(self) -> None:
        """Nothing is held."""
