"""Two ways to another pair's engine: a second one beside the first, or other weights in the one that there is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from serve.activation.proof import verify
from serve.registry.registry import Registry
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.errors import ActivationFailed, ActivationRefused, CheckpointUnknown

log = logging.getLogger(__name__)
Load = Callable[[Pair], Awaitable[Router]]


class Strategy(Protocol):
    """How an activation comes by the new pair's engine, and what becomes of that or of the old one.

    pauses: new requests wait, and those under way end, before `load` is called. check: raises ActivationRefused where
    it cannot be done this way. load: raises EngineFailed, and frees what it began where it is cancelled. undo: the old
    pair answers as before, or raises ActivationFailed where it cannot any more. retire: nothing runs on the old pair.
    """

    @property
    def pauses(self) -> bool: ...
    def check(self, new: Pair) -> None: ...
    async def load(self, new: Pair) -> Router: ...
    async def undo(self, new: Router | None) -> None: ...
    async def retire(self, old: Router) -> None: ...


class BlueGreen:
    """A second engine beside the first: right everywhere, and nobody waits, where memory holds two."""

    pauses = False

    def __init__(self, load: Load) -> None:
        """`load` starts an engine on a pair."""
        self._load = load

    def check(self, new: Pair) -> None:
        """Any pair will do."""

    async def load(self, new: Pair) -> Router:
        return await self._load(new)

    async def undo(self, new: Router | None) -> None:
        if new:
            await new.close()

    async def retire(self, old: Router) -> None:
        await old.close()


class InPlace:
    """The one engine takes the new weights while requests wait. Where that fails it takes the old ones again, and these
    are verified like the new ones.
    """

    pauses = True

    def __init__(self, active: Active, registry: Registry) -> None:
        self._active = active
        self._registry = registry
        self._old_fingerprint: Fingerprint | None = None
        self._altered = False

    def check(self, new: Pair) -> None:
        old = self._active.router.pair
        # Read before anything is altered: the registry may be gone when the old weights have to be proven.
        self._old_fingerprint = self._fingerprint_of(old)
        if self._old_fingerprint is None:
            raise ActivationRefused(
                f"{old.checkpoint}, which serves, has no fingerprint: nothing could prove the way back"
            )
        if new.model.adapter:
            raise ActivationRefused(f"{new.checkpoint} is an adapter; not in place")
        if new.model.automaton_file != old.model.automaton_file:
            raise ActivationRefused(
                f"{new.checkpoint} has another taxonomy or tokenizer than what serves; not in place"
            )
        if _config(new) != _config(old):
            raise ActivationRefused(f"{new.checkpoint} has another config.json than what serves; not in place")

    def _fingerprint_of(self, old: Pair) -> Fingerprint | None:
        try:
            return self._registry.manifest(old.checkpoint).fingerprint
        except CheckpointUnknown:
            return None

    async def load(self, new: Pair) -> Router:
        self._altered = True
        return await self._active.router.reloaded(new)

    async def undo(self, new: Router | None) -> None:  # noqa: ARG002 (it has no engine of its own)
        try:
            if self._altered and self._old_fingerprint:
                await self._restored(self._active.router, self._old_fingerprint)
        finally:
            self._altered = False
            self._active.resume()

    async def _restored(self, old: Router, fingerprint: Fingerprint) -> None:
        try:
            await old.reloaded(old.pair)
            await verify(old, fingerprint)
        except BaseException as error:
            # Of unknown weights nothing may be served: the service ends, and starts anew on the active pair.
            await old.close()
            raise ActivationFailed(
                f"{old.pair.checkpoint} could not be restored ({error}); its engine is closed"
            ) from error
        log.warning("activation: %s is restored and verified", old.pair.checkpoint)

    async def retire(self, old: Router) -> None:  # noqa: ARG002
        """Its engine serves the new pair."""
        self._altered = False


def _config(pair: Pair) -> bytes:
    return (Path(pair.model.path) / "config.json").read_bytes()
