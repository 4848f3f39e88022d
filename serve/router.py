"""One comment's way: checked, cut, asked, decoded, read."""

from __future__ import annotations

import uuid

from serve.answer import Answer, answer_of
from serve.engine import Engine, Task
from serve.pair import Pair
from serve.settings import Settings
from taxonomy.answer import CLOSE, EMOTION, NEXT, before_level, escaped
from taxonomy.chunks import chunks
from taxonomy.errors import CommentInvalid, CommentTooLong
from taxonomy.grammar import grammar
from taxonomy.labels import EMOTIONS


class Router:
    """Routes comments with one pair on one engine."""

    def __init__(self, pair: Pair, engine: Engine, settings: Settings, context: int) -> None:
        """`context` is how many tokens the engine takes, prompt and answer together."""
        self.pair = pair
        self._engine = engine
        self._settings = settings
        self._context = context
        self._close_tokens = _longest_close(pair)

    @property
    def max_comment(self) -> int:
        """Longest comment, in Unicode code points."""
        return self._settings.max_comment

    async def route(self, comment: str) -> Answer:
        """Raises CommentInvalid, CommentTooLong or EngineFailed."""
        task = self.task(comment)
        return answer_of(comment, await self._engine.decode(task), self.pair)

    async def close(self) -> None:
        """Free the engine."""
        await self._engine.close()

    def task(self, comment: str) -> Task:
        """What the engine is asked for a comment."""
        check_comment(comment, self.max_comment)
        pieces = chunks(comment, self._settings.max_chunks)
        prompt = self.pair.prompt.of(comment)
        room = self._context - len(prompt)
        if (longest := self._longest_answer(pieces)) > room:
            needed = f"{len(prompt)} tokens to ask and up to {longest} to answer"
            raise CommentTooLong(f"comment is too long: it takes {needed}, the limit is {self._context}")
        spelt = self.pair.tokens.spells_special(comment)
        text = grammar(pieces, self.pair.label_rules, is_forced=not spelt).definition
        return Task(uuid.uuid4().hex, tuple(prompt), pieces, text, room)

    def _longest_answer(self, pieces: tuple[str, ...]) -> int:
        """No answer is longer: every chunk closed, each with the longest path."""
        spelt = self.pair.tokens.texts([escaped(piece) for piece in pieces])
        return sum(map(len, spelt)) + len(pieces) * self._close_tokens + 2


def check_comment(comment: str, limit: int) -> None:
    """Raises CommentInvalid for what cannot be routed, CommentTooLong with the limit."""
    if not comment.strip():
        raise CommentInvalid("comment is empty; send the customer's text")
    if len(comment) > limit:
        raise CommentTooLong(f"comment has {len(comment)} characters, the limit is {limit}")
    try:
        comment.encode()
    except UnicodeEncodeError as error:
        where = f"a lone surrogate at character {error.start}"
        raise CommentInvalid(f"comment holds {where}; send valid Unicode") from error


def _longest_close(pair: Pair) -> int:
    """Tokens that closing a segment and opening the next take at most."""
    tokens = pair.tokens
    labels = [before_level(level) for level in range(pair.taxonomy.depth)]
    between = sum(len(tokens.text(text)) for text in [*labels, EMOTION, CLOSE, NEXT])
    longest_path = max(sum(len(tokens.text(escaped(label))) for label in leaf.path) for leaf in pair.taxonomy.leaves)
    return between + longest_path + max(len(tokens.text(emotion)) for emotion in EMOTIONS)
