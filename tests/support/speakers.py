"""Bases that speak without a model, by a script."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from serve.engine.completion import Completer, CompletionTask, ScriptedCompleter, Written
from taxonomy.language.tokens import Tokens
from tests.support.tokenizers import tokenizer_of_kind
from train.replay.turns import Turns

TOKENIZER = tokenizer_of_kind("bundled")
TURNS = Turns(TOKENIZER)
END = Tokens(TOKENIZER).eos
WORD = Tokens(TOKENIZER).text("word")[0]
ANIMALS = ["heron", "badger", "lynx", "tortoise", "walrus", "magpie", "hedgehog", "salmon"]
DOINGS = ["sleep all winter", "follow the river", "hide from the storm", "steal shiny things", "sing before sunrise"]
PLACES = ["the far north", "a crowded city", "our little garden", "the open desert", "an abandoned quarry"]


def written(text: str, end: int | None = END) -> Iterator[Written]:
    """A word a token, and then what ends it."""
    yield from (Written(WORD, word) for word in text.replace(" ", "\n ").split("\n"))
    if end is not None:
        yield Written(end, "")


def is_question(task: CompletionTask) -> bool:
    """Whether a user is to speak."""
    return task.prompt == TURNS.opening


def chatter(task: CompletionTask) -> Iterable[Written]:
    """A question or an answer that depends on the task's seed; one in eight never ends."""
    rng = random.Random(task.seed)
    animal, doing, place = (rng.choice(words) for words in (ANIMALS, DOINGS, PLACES))
    if is_question(task):
        text = f"Why would a {animal} {doing} when it lives in {place}, and what becomes of it then?"
    else:
        text = f"In {place} the {animal} has learned to {doing}, because that keeps it safe and well fed for years."
    return written(text, END if rng.random() < 7 / 8 else None)


class Recording(ScriptedCompleter):
    """It notes how often it was closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


def starter(script: Callable[[CompletionTask], Iterable[Written]] = chatter) -> Callable[[str, int, int], Completer]:
    """Starts a completer that follows the script."""
    return lambda _, context, __: ScriptedCompleter(script, context)
