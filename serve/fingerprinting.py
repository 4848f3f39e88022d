"""What an engine decides with a checkpoint, recorded in its manifest."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from serve.activation.proof import record
from serve.settings import Settings
from serve.start import load_pair, start_router
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.checkpoint.manifest import publish, read_manifest


def fingerprinted(folder: Path, settings: Settings) -> Fingerprint:
    """Record in a checkpoint's manifest what an engine, started for this, decides with it. Raises EngineFailed.

    settings: of the service that is to serve it; which checkpoint they name does not matter.
    """
    manifest = read_manifest(folder)
    settings = settings.model_copy(update={"checkpoint": str(folder)})
    pair = load_pair(settings)
    print(f"route-feedback: loading {folder} (about a minute)", file=sys.stderr, flush=True)

    async def recorded() -> Fingerprint:
        router = await start_router(settings, pair)
        try:
            return await record(router)
        finally:
            await router.close()

    fingerprint = asyncio.run(recorded())
    # What the gate said was of another recording.
    publish(folder, manifest.model_copy(update={"fingerprint": fingerprint, "decision": None}))
    return fingerprint
