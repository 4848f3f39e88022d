"""One comment's way: checked, cut, asked, decoded, read."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import replace

from serve.engine.protocol import Decoded, Engine, Task
from serve.routing.admission import Admission
from serve.routing.answer import Answer, answer_of
from serve.routing.limits import RouteLimits
from serve.routing.observer import UNOBSERVED, Observer
from serve.routing.pair import Pair
from serve.routing.tasks import WARM_UP, check_fits, task_of
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.errors import CommentInvalid, CommentTooLong, DeadlinePassed


class Router:
    """Routes comments with one pair on one engine."""

    def __init__(
        self, pair: Pair, engine: Engine, limits: RouteLimits, context: int, observer: Observer = UNOBSERVED
    ) -> None:
        """`context` is how many tokens the engine takes, prompt and answer together."""
        self.pair = pair
        self._engine = engine
        self._limits = limits
        self._context = context
        self._observer = observer
        self.admission = Admission(limits.at_once, limits.waiting)

    def under(self, calibration: Calibration | None) -> Router:
        """The same engine with another calibration, or with the model's own probabilities."""
        return Router(replace(self.pair, calibration=calibration), self._engine, self._limits, self._context)

    @property
    def is_alive(self) -> bool:
        """Whether the engine can still answer."""
        return self._engine.is_alive

    @property
    def engine_kind(self) -> str:
        """The engine's device and dtype."""
        return self._engine.kind

    @property
    def max_comment(self) -> int:
        """Longest comment, in Unicode code points."""
        return self._limits.max_comment

    async def route(self, comment: str, key: str = "", seconds: float | None = None) -> Answer:
        """Answer within so many seconds, in turn with other keys' comments.

        Raises CommentInvalid, CommentTooLong, Overloaded, DeadlinePassed or EngineFailed.
        """
        check_comment(comment, self.max_comment)
        try:
            return await self._routed(comment, key, seconds)
        except TimeoutError:
            raise DeadlinePassed(f"deadline_ms: {round((seconds or 0) * 1000)} ms have passed") from None

    async def _routed(self, comment: str, key: str, seconds: float | None) -> Answer:
        stage = self._observer.stage
        with ExitStack() as waiting:
            waiting.enter_context(stage("queue"))
            async with asyncio.timeout(seconds), self.admission.turn(key, seconds):
                waiting.close()
                with stage("prepare"):
                    task = self.task(comment)
                started = time.perf_counter()
                with stage("decode"):
                    decoded = await self._engine.decode(task)
                engine_s = time.perf_counter() - started
                with stage("read"):
                    answer = answer_of(task, decoded, self.pair, engine_s)
        if decoded.masking_s is not None:
            self._observer.masked(decoded.masking_s)
        self._observer.answered(self.pair.checkpoint, answer)
        return answer

    async def decoded(self, comment: str) -> tuple[Task, Decoded]:
        """What the engine decides on a comment, past the queue, with what it was asked. Raises EngineFailed."""
        task = self.task(comment)
        return task, await self._engine.decode(task)

    async def aside(self, comment: str) -> Answer:
        """An answer that nobody gets: past the queue, and in no metric of the service. Raises as `route` does."""
        task = self.task(comment)
        started = time.perf_counter()
        decoded = await self._engine.decode(task)
        return answer_of(task, decoded, self.pair, time.perf_counter() - started)

    async def warm(self) -> None:
        """Load what loads on first use, so that the first customer does not wait for it.

        Raises EngineFailed, or CheckpointInvalid where the engine's context has no room for any comment.
        """
        check_fits(self.pair, self._context, self._limits.max_chunks)
        _ = self.pair.leaves_below  # made when it is first asked for
        await self.decoded(WARM_UP)

    async def reloaded(self, pair: Pair) -> Router:
        """Another pair on this engine, which then has its weights. Raises EngineFailed: it may have neither one's."""
        await self._engine.reload(pair.model)
        return Router(pair, self._engine, self._limits, self._context, self._observer)

    def carries(self, pair: Pair) -> bool:
        """Whether the engine has this pair's weights in memory already, but for an adapter."""
        return self._engine.carries(pair.model)

    async def beside(self, pair: Pair) -> Router:
        """Another pair on the same memory. Raises EngineFailed."""
        return Router(pair, await self._engine.beside(pair.model), self._limits, self._context, self._observer)

    async def close(self) -> None:
        """Free the engine."""
        await self._engine.close()

    def task(self, comment: str) -> Task:
        """What the engine is asked for a comment. Raises CommentTooLong."""
        with self._observer.compiling():
            return task_of(self.pair, comment, self._limits.max_chunks, self._context)


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
