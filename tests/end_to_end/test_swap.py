"""One swap of real engines under load: nothing fails, each answer is a fresh engine's of the version that it names."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from serve.active import Active
from serve.answer import Answer
from serve.fingerprint import record, verify
from serve.pair import pair_of
from serve.registry import Registry
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import load_router, start_router, swap_of
from serve.swap import Wish
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import FingerprintDiffers
from taxonomy.labels import CheckpointId
from tests.checkpoints import PROMOTED, WEIGHTS, published
from tests.conftest import Live

CLIENTS = 16
COMMENTS = [
    "It came late, and the app crashes.",
    "Nachts ist das Bild unscharf.",
    "Love it! The battery lasts for weeks.",
]


def changed(folder: Path, factor: float) -> Path:
    """The bundled checkpoint with one matrix scaled: other answers, or the same with other probabilities."""
    shutil.copytree(BUNDLED_CHECKPOINT, folder)
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.1.mlp.down_proj.weight"] *= factor
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    return folder


async def recorded(folder: Path, settings: Settings) -> tuple[CheckpointId, list[Answer]]:
    """Publish with a fingerprint from a fresh engine, and keep what that engine answers."""
    published(folder)
    router = await start_router(settings, pair_of(str(folder), bundled_taxonomy(), settings.cache))
    try:
        fingerprint = await record(router)
        answers = [await router.route(comment) for comment in COMMENTS]
    finally:
        await router.close()
    return published(folder, fingerprint=fingerprint, gate=PROMOTED).version, answers


def alike(one: Answer, other: Answer) -> bool:
    if [s.part for s in one.segments] != [s.part for s in other.segments] or one.residue != other.residue:
        return False
    pairs = zip(one.segments, other.segments, strict=True)
    return all(
        a.confidence[name] == pytest.approx(b.confidence[name], abs=1e-2) for a, b in pairs for name in a.confidence
    )


def test_a_swap_under_load_fails_no_request_and_mixes_no_answer(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"registry": tmp_path / "registry"})
    folders = [changed(tmp_path / name, factor) for name, factor in (("a", 1.0), ("b", -1.0))]

    async def main() -> None:
        fresh = dict([await recorded(folder, settings) for folder in folders])
        registry = Registry(tmp_path / "registry")
        one, two = (registry.add(folder, bundled_taxonomy(), "test").version for folder in folders)
        assert fresh[one] != fresh[two]
        registry.activate(one, None, "test")
        pair = pair_of(str(registry.folder(one)), bundled_taxonomy(), settings.cache)
        active = Active(await start_router(settings, pair, registry.manifest(one).fingerprint))
        swap = swap_of(settings, active)
        assert swap
        answers: list[tuple[CheckpointId, int, Answer]] = []
        over = asyncio.Event()

        async def client(number: int) -> None:
            at = number % len(COMMENTS)
            while not over.is_set():
                with active.borrowed() as router:
                    answers.append((router.pair.checkpoint, at, await router.route(COMMENTS[at])))

        clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
        try:
            assert (await swap.activate(Wish(two, "test"))).outcome == "active"
            await asyncio.sleep(1)
        finally:
            over.set()
            await asyncio.gather(*clients)
            await active.router.close()
        assert {name for name, _, _ in answers} == {one, two}
        assert [name for name, at, answer in answers if not alike(answer, fresh[name][at])] == []

    asyncio.run(main())


def test_one_bit_flipped_in_one_tensor_is_seen_through_the_engine(
    live: Live, settings: Settings, tmp_path: Path
) -> None:
    """The highest bit of an exponent; the hashes of the files are made anew, so that only the engine can tell."""
    assert live.router
    fingerprint = live.run(record(live.router))
    assert live.run(verify(live.router, fingerprint)) <= fingerprint.spread + 1e-3
    folder = changed(tmp_path / "flipped", 1.0)
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.0.self_attn.v_proj.weight"].view(torch.int16).view(-1)[0] ^= 0x4000
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    published(folder)

    async def flipped() -> None:
        router = await load_router(settings, pair_of(str(folder), bundled_taxonomy(), settings.cache))
        try:
            await verify(router, fingerprint)
        finally:
            await router.close()

    with pytest.raises(FingerprintDiffers):
        asyncio.run(flipped())
