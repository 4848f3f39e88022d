"""Swaps of real engines under load: nothing fails, each answer is a fresh engine's of the version that it names."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import psutil
import pytest
import torch
from prometheus_client import CollectorRegistry
from safetensors.torch import load_file, save_file

from serve.activation.activation import Activation, ActivationRequest, Activator
from serve.activation.phases import Phase
from serve.activation.proof import record, tolerance, verify
from serve.engine.model import Model
from serve.engine.vllm.llm import cpu_dtype
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.active import Active
from serve.routing.answer import Answer
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import BUNDLED_CHECKPOINT, Settings
from serve.start import activator_of, limits_of, metrics_on, start_router
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.adapter import adapter_of
from taxonomy.errors import EngineFailed, FingerprintDiffers
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import PROMOTED, WEIGHTS, adapted, flip_one_bit, published
from tests.support.torch_engine import TorchEngine

T = TypeVar("T")
Strategy = Literal["in_place", "blue_green"]
CLIENTS = 16
START_S = 300
COMMENTS = [
    "It came late, and the app crashes.",
    "Nachts ist das Bild unscharf.",
    "Love it! The battery lasts for weeks.",
]
Given = tuple[CheckpointId, int, Answer]


class Stage(NamedTuple):
    """Engines on a loop of their own: two checkpoints, an adapter of the second, and what serves of them."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    registry: Registry
    active: Active
    one: CheckpointId
    two: CheckpointId
    adapter: CheckpointId
    fresh: dict[CheckpointId, list[Answer]]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_S)

    @property
    def engine(self) -> Any:
        return self.active.router._engine

    @property
    def core(self) -> set[int]:
        """The process that decodes."""
        return {process.pid for process in self.engine._llm.engine_core.resources.engine_manager.processes}

    @property
    def serving(self) -> CheckpointId:
        return self.active.router.pair.checkpoint

    def activator(self, strategy: Strategy) -> Activator:
        """A second engine has room for adapters."""
        lora = {"enable_lora": True, "max_lora_rank": 8} if strategy == "blue_green" else {}
        settings = self.settings.model_copy(update={"activation": strategy, "engine": self.settings.engine | lora})
        activator = activator_of(settings, self.active, metrics_on(CollectorRegistry()))
        assert activator
        return activator

    def pair(self, checkpoint: CheckpointId) -> Pair:
        return pair_of(str(self.registry.folder(checkpoint)), bundled_taxonomy(), self.settings.cache)

    def proves(self, checkpoint: CheckpointId) -> None:
        """The service serves this version, verified, and answers with it."""
        assert self.serving == self.registry.read().active == checkpoint
        fingerprint = self.registry.manifest(checkpoint).fingerprint
        assert fingerprint
        self.run(verify(self.active.router, fingerprint))

    def ensure(self, checkpoint: CheckpointId, strategy: Strategy = "in_place") -> None:
        """What a test begins with, whatever the one before left."""
        if self.serving != checkpoint:
            self.run(self.activator(strategy).activate(ActivationRequest(checkpoint, "test")))


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """The bundled checkpoint with other weights."""
    shutil.copytree(BUNDLED_CHECKPOINT, folder)
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    published(folder)
    return folder


def turned(weights: dict[str, torch.Tensor]) -> None:
    """Other answers; the embedding, which the output layer shares, is another too."""
    weights["model.layers.1.mlp.down_proj.weight"] *= -1
    weights["model.embed_tokens.weight"] *= 1.25


async def started(folder: Path, settings: Settings) -> tuple[Router, list[Answer]]:
    """A fresh engine, its fingerprint in the manifest, and what it answers."""
    router = await start_router(settings, pair_of(str(folder), bundled_taxonomy(), settings.cache))
    published(folder, fingerprint=await record(router), gate=PROMOTED)
    return router, [await router.route(comment) for comment in COMMENTS]


async def set_up(folder: Path, settings: Settings, loop: asyncio.AbstractEventLoop) -> Stage:
    a, b = changed(folder / "a", dict.copy), changed(folder / "b", turned)
    registry = Registry(Directory(folder / "registry"))
    other, answers = await started(b, settings)
    await other.close()
    two = registry.add(b, bundled_taxonomy(), "test").version
    fresh = {two: answers}
    router, answers = await started(a, settings)
    one = registry.add(a, bundled_taxonomy(), "test").version
    fresh[one] = answers
    registry.activate(one, None, "test")
    at_home = pair_of(str(registry.folder(one)), bundled_taxonomy(), settings.cache)
    active = Active(await router.beside(at_home))
    await router.close()
    adapter = await recorded_adapter(folder, registry, two, settings)
    return Stage(loop, settings, registry, active, one, two, adapter, fresh)


async def recorded_adapter(folder: Path, registry: Registry, base: CheckpointId, settings: Settings) -> CheckpointId:
    """Its fingerprint comes from the weights added up, under transformers: vLLM has no part in what it must give."""
    small, merged = adapted(folder / "adapter", folder / "merged", registry.folder(base))
    manifest = adapter_of(small, registry.manifest(base))
    pair = pair_of(str(registry.folder(base)), bundled_taxonomy(), settings.cache)
    reference = Router(pair, TorchEngine(pair.automaton, merged), limits_of(settings), context=32_768)
    published(small, PROMOTED, manifest, fingerprint=await record(reference))
    return registry.add(small, bundled_taxonomy(), "test").version


@pytest.fixture(scope="module")
def stage(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    settings = settings.model_copy(update={"registry": str(folder / "registry")})
    (folder / "registry").mkdir()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stage")
    thread.start()
    stage = asyncio.run_coroutine_threadsafe(set_up(folder, settings, loop), loop).result(START_S)
    yield stage
    stage.run(stage.active.router.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)


@asynccontextmanager
async def under_load(stage: Stage) -> AsyncIterator[list[Given]]:
    """Sixteen clients; a request of theirs that fails fails the test."""
    answers: list[Given] = []
    over = asyncio.Event()

    async def client(number: int) -> None:
        at = number % len(COMMENTS)
        while not over.is_set():
            await stage.active.passed()
            with stage.active.borrowed() as router:
                answers.append((router.pair.checkpoint, at, await router.route(COMMENTS[at])))

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    try:
        yield answers
    finally:
        over.set()
        await asyncio.gather(*clients)


def alike(one: Answer, other: Answer) -> bool:
    """The same segments and labels; probabilities as near as the dtype has them in batches of another make-up."""
    if [s.part for s in one.segments] != [s.part for s in other.segments] or one.residue != other.residue:
        return False
    kind = f"cpu/{cpu_dtype()}"
    pairs = zip(one.segments, other.segments, strict=True)
    return all(
        a.confidence[name] == pytest.approx(b.confidence[name], abs=tolerance(kind, kind))
        for a, b in pairs
        for name in a.confidence
    )


def swapped_under_load(stage: Stage, strategy: Strategy, *versions: CheckpointId) -> None:
    async def main() -> list[Given]:
        async with under_load(stage) as answers:
            for version in versions:
                activation = await stage.activator(strategy).activate(ActivationRequest(version, "test"))
                assert activation.outcome == "active"
                await asyncio.sleep(1)
            return answers

    before = stage.serving
    answers = stage.run(main())
    assert {name for name, _, _ in answers} == {before, *versions}
    known = [(name, at, answer) for name, at, answer in answers if name in stage.fresh]
    assert [name for name, at, answer in known if not alike(answer, stage.fresh[name][at])] == []
    stage.proves(versions[-1])


def test_the_two_checkpoints_and_the_adapter_answer_differently(stage: Stage) -> None:
    assert not alike(stage.fresh[stage.one][0], stage.fresh[stage.two][0])
    fingerprints = [stage.registry.manifest(name).fingerprint for name in (stage.one, stage.two, stage.adapter)]
    assert len({f.probes for f in fingerprints if f}) == 3


def test_weights_that_change_in_place_under_load_are_those_of_a_fresh_engine(stage: Stage) -> None:
    stage.ensure(stage.one)
    swapped_under_load(stage, "in_place", stage.two, stage.one)


def test_the_reload_that_reports_success_and_keeps_packed_copies_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VLLM's own, on a CPU: it serves neither checkpoint. Then the old one is restored, by ours."""
    stage.ensure(stage.one)
    ours = stage.engine.reload

    async def plain(model: Model) -> None:
        if model.checkpoint != stage.two:
            await ours(model)
            return
        await stage.engine._llm.pause_generation(mode="wait")
        await stage.engine._llm.collective_rpc("reload_weights", kwargs={"weights_path": model.path})
        await stage.engine._llm.resume_generation()

    monkeypatch.setattr(stage.engine, "reload", plain)
    with pytest.raises(FingerprintDiffers):
        stage.run(stage.activator("in_place").activate(ActivationRequest(stage.two, "test")))
    stage.proves(stage.one)


@pytest.mark.parametrize("fault", ["cut off", "another shape"])
def test_weights_that_cannot_be_loaded_in_place_leave_the_old_ones_restored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    """The file is spoilt after it was checked."""
    stage.ensure(stage.one)
    spoilt = tmp_path / "spoilt"
    shutil.copytree(stage.registry.folder(stage.two), spoilt)
    if fault == "cut off":
        (spoilt / WEIGHTS).write_bytes((spoilt / WEIGHTS).read_bytes()[:-1000])
    else:
        weights = load_file(spoilt / WEIGHTS)
        weights["model.layers.1.self_attn.v_proj.weight"] = weights["model.layers.1.self_attn.v_proj.weight"][
            :, :100
        ].contiguous()
        save_file(weights, spoilt / WEIGHTS, {"format": "pt"})
    ours = stage.engine._llm.collective_rpc

    async def reading(method: str, *, args: tuple[str]) -> object:
        (folder,) = args
        return await ours(method, args=(str(spoilt) if stage.two in folder else folder,))

    monkeypatch.setattr(stage.engine._llm, "collective_rpc", reading)
    with pytest.raises(EngineFailed, match="could not load"):
        stage.run(stage.activator("in_place").activate(ActivationRequest(stage.two, "test")))
    stage.proves(stage.one)


@pytest.mark.parametrize("spoil", [flip_one_bit, lambda tensor: tensor.fill_(torch.nan)], ids=["one bit", "no numbers"])
def test_one_spoilt_tensor_is_seen_through_the_engine_and_leaves_nothing_in_its_cache(
    stage: Stage, tmp_path: Path, spoil: Callable[[torch.Tensor], object]
) -> None:
    """The hashes of the files are made anew, so that only the engine can tell."""
    stage.ensure(stage.one)
    folder = changed(tmp_path / "spoilt", lambda weights: spoil(weights["model.layers.0.self_attn.v_proj.weight"]))
    fingerprint = stage.registry.manifest(stage.one).fingerprint
    assert fingerprint

    async def spoilt() -> None:
        pair = pair_of(str(folder), bundled_taxonomy(), stage.settings.cache)
        old = stage.active.router
        try:
            await verify(await old.reloaded(pair), fingerprint)
        finally:
            await old.reloaded(old.pair)

    with pytest.raises(FingerprintDiffers):
        stage.run(spoilt())
    stage.proves(stage.one)


def cores() -> set[int]:
    return {each.pid for each in psutil.Process().children(recursive=True) if "EngineCore" in each.name()}


async def killed_when(victims: Callable[[], set[int]]) -> None:
    """`kill -9`, as soon as there is one."""
    while not (found := victims()):  # noqa: ASYNC110 (the system tells of no process by itself)
        await asyncio.sleep(0.05)
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def test_a_new_engine_that_is_killed_while_it_loads_leaves_the_old_one_serving(stage: Stage) -> None:
    stage.ensure(stage.one)
    old = cores()

    async def main() -> None:
        activator = stage.activator("blue_green")
        async with under_load(stage) as answers:
            killing = asyncio.create_task(killed_when(lambda: cores() - old))
            with pytest.raises(EngineFailed, match="could not start"):
                await activator.activate(ActivationRequest(stage.two, "test"))
            await killing
        assert {name for name, _, _ in answers} == {stage.one}
        assert activator.activation
        assert activator.activation.broke_off is Phase.LOADING

    stage.run(main())
    stage.proves(stage.one)


def test_an_old_engine_that_is_killed_while_it_drains_leaves_the_new_one_serving(stage: Stage) -> None:
    """A swap of two engines under load, with `kill -9` at its end: what is still on the old one fails, with words."""
    stage.ensure(stage.one)
    old = stage.core

    async def main() -> Activation:
        activator = stage.activator("blue_green")
        started: list[asyncio.Task[Answer]] = []

        async def ask() -> Answer:
            with stage.active.borrowed() as router:
                return await router.route(" ".join(COMMENTS * 6))

        async def kill() -> None:
            while activator.phase is not Phase.VERIFYING:  # noqa: ASYNC110 (what is polled is what the API shows)
                await asyncio.sleep(0.01)
            started.extend(asyncio.create_task(ask()) for _ in range(200))
            await killed_when(lambda: old if activator.phase is Phase.DRAINING else set())

        async with under_load_until_shift(stage, activator):
            killing = asyncio.create_task(kill())
            report = await activator.activate(ActivationRequest(stage.two, "test"))
            await killing
        failed = [e for e in await asyncio.gather(*started, return_exceptions=True) if isinstance(e, BaseException)]
        assert failed
        assert all(isinstance(error, EngineFailed) for error in failed)
        return report

    report = stage.run(main())
    assert report.outcome == "active"
    stage.proves(stage.two)


@asynccontextmanager
async def under_load_until_shift(stage: Stage, activator: Activator) -> AsyncIterator[None]:
    """Clients that fail on nothing for as long as both engines live."""

    async def client(number: int) -> None:
        at = number % len(COMMENTS)
        while activator.phase not in {Phase.VERIFYING, Phase.SHIFTING, Phase.DRAINING, Phase.RETIRING}:
            with stage.active.borrowed() as router:
                name, answer = router.pair.checkpoint, await router.route(COMMENTS[at])
            assert alike(answer, stage.fresh[name][at])

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    yield
    await asyncio.gather(*clients)


def test_an_adapter_is_loaded_beside_its_base_under_load_without_another_engine(stage: Stage) -> None:
    """The base is verified again while the adapter's requests are computed in the same steps."""
    stage.ensure(stage.two, "blue_green")
    engines = cores()
    swapped_under_load(stage, "blue_green", stage.adapter, stage.two)
    assert cores() == engines
