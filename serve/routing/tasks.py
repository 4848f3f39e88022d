"""What an engine is asked for a comment, and whether that fits what it holds at once."""

from __future__ import annotations

import uuid
from typing import Final, NamedTuple

from serve.engine.protocol import Task
from serve.routing.pair import Pair
from taxonomy.errors import CheckpointInvalid, CommentTooLong
from taxonomy.language.chunks import MAX_CHUNKS, chunks
from taxonomy.language.prompt import PromptStyle

WARM_UP: Final = "It came late, and the app crashes."
"""The first comment that an engine is asked; one that has no room for it has room for none."""


class Needed(NamedTuple):
    """A comment's task, and how many tokens its answer takes at most."""

    task: Task
    longest: int

    @property
    def tokens(self) -> int:
        return len(self.task.prompt) + self.longest


def task_of(pair: Pair, comment: str, max_chunks: int, context: int) -> Task:
    """context: tokens of prompt and answer together. Raises CommentTooLong."""
    needed = _needed(pair, comment, max_chunks)
    if needed.tokens > context:
        takes = f"{len(needed.task.prompt)} tokens to ask and up to {needed.longest} to answer"
        raise CommentTooLong(f"comment is too long: it takes {takes}, the limit is {context}")
    return needed.task


def check_fits(pair: Pair, context: int, max_chunks: int = MAX_CHUNKS) -> None:
    """Raises CheckpointInvalid where the prompt leaves no room for a short comment, with what takes the room."""
    needed = _needed(pair, WARM_UP, max_chunks)
    if needed.tokens <= context:
        return
    takes = f"{len(needed.task.prompt)} tokens to ask a short comment and up to {needed.longest} to answer it"
    if pair.prompt.style is PromptStyle.IN_CONTEXT:
        what = (
            f"taxonomy {pair.taxonomy.version} does not fit into the prompt: with its {len(pair.taxonomy.leaves)} paths"
        )
        remedy = "leave out descriptions, use a base with a longer context, or a checkpoint fine-tuned on this taxonomy"
    else:
        what, remedy = "the context is too short", "raise max_model_len"
    raise CheckpointInvalid(f"{pair.checkpoint}: {what} it takes {takes}, the context holds {context}; {remedy}")


def _needed(pair: Pair, comment: str, max_chunks: int) -> Needed:
    pieces = chunks(comment, max_chunks)
    tokens = tuple(map(tuple, pair.language.chunk_tokens(pieces)))
    # No answer is longer: every chunk a segment of its own, each with the longest path.
    longest = sum(map(len, tokens)) + len(tokens) * pair.longest_closing
    return Needed(Task(uuid.uuid4().hex, tuple(pair.prompt.of(pieces)), pieces, tokens), longest)
