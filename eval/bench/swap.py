"""`bench swap`: a service changes its checkpoint again and again under load; what fails, what differs, who waits."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import psutil

from eval.bench.machine import Machine, this_machine
from eval.bench.systems import service
from serve.activation.proof import record
from serve.http.schemas import response_of
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.loading import pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import start_router
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId
from taxonomy.tree import Taxonomy

WHO: Final = "bench swap"
POLL_S: Final = 0.05
Body = dict[str, Any]


@dataclass(frozen=True)
class SwapPlan:
    """How much is done. quiet_s: how long the load runs without a swap before the first; between_s: after each."""

    swaps: int = 20
    clients: int = 16
    quiet_s: float = 30.0
    between_s: float = 2.0
    strategy: str = "blue_green"


class FreshAnswers(NamedTuple):
    """What a fresh engine answers to each comment: alone, and every answer that it gave among as many as clients."""

    alone: list[Body]
    among: list[list[Body]]


class LoadRequest(NamedTuple):
    """One request: when, which comment, its answer, or None where it failed and then why."""

    began: float
    ended: float
    comment: int
    body: Body | None
    fault: str = ""


@dataclass
class Load:
    """What the clients saw, and when swaps were under way (from, to)."""

    requests: list[LoadRequest] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def latencies(self, *, during: bool) -> list[float]:
        """Milliseconds of answered requests that a swap was under way in for some time, or of all others."""
        answered = (each for each in self.requests if each.body)
        return [(a.ended - a.began) * 1000 for a in answered if during is any(map(_overlaps(a), self.windows))]


@dataclass(frozen=True, slots=True)
class MemoryMib:
    """Resident in all the service's processes: before the first swap, and after each."""

    before: float
    after_each: list[float]


@dataclass(frozen=True, slots=True)
class SwapFigures:
    """identical, same_labels, as_among_others, mismatched: how answers compare with a fresh engine's (`compared`).

    by_version: answers by the checkpoint that they name. *_during_swap*: of requests that a swap was under way in.
    faults: what went wrong, in words.
    """

    swaps: int
    requests: int
    failed: int
    identical: int
    same_labels: int
    as_among_others: int
    mismatched: int
    by_version: dict[CheckpointId, int]
    p50_ms: float | None
    p50_during_swap_ms: float | None
    p99_ms: float | None
    p99_during_swap_ms: float | None
    longest_during_swap_ms: float
    requests_during_swap: int
    swap_s: list[float]
    faults: list[str]
    memory_mib: MemoryMib
    plan: SwapPlan
    machine: Machine


def _overlaps(request: LoadRequest) -> Callable[[tuple[float, float]], bool]:
    return lambda window: request.began < window[1] and request.ended > window[0]


@dataclass(frozen=True)
class SwapBench:
    """Swaps two checkpoints to and fro under load. work: an empty directory."""

    taxonomy: Taxonomy
    comments: Sequence[str]
    settings: Settings
    plan: SwapPlan
    work: Path
    say: Callable[[str], None]

    @property
    def registry(self) -> Registry:
        return Registry(Directory(self.work / "registry"))

    async def run(self, folders: Sequence[Path]) -> SwapFigures:
        """Raises EngineFailed where nothing can be measured."""
        fresh = dict([await self._published(folder, self.work / str(n)) for n, folder in enumerate(folders)])
        one, two = fresh
        self.registry.activate(one, None, WHO, WHO)
        chosen = {
            "REGISTRY": str(self.registry.store),
            "ADMIN_KEY": secrets.token_hex(16),
            "ACTIVATION": self.plan.strategy,
        }
        self.say("the service starts")
        async with service(chosen) as running:
            headers = {"Authorization": f"Bearer {chosen['ADMIN_KEY']}"}
            async with httpx.AsyncClient(base_url=running.address, headers=headers, timeout=600) as client:
                load, memory = await self._loaded(client, running.pid, (two, one))
        return figures(load, fresh, self.plan, memory)

    async def _published(self, folder: Path, copy: Path) -> tuple[CheckpointId, FreshAnswers]:
        """Into the registry with a fingerprint, both from a fresh engine, whose answers are kept."""
        self.say(f"a fresh engine on {folder}")
        shutil.copytree(folder, copy)
        pair = pair_of(str(copy), self.taxonomy, self.settings.cache)
        router = await start_router(self.settings, pair)
        try:
            fingerprint = await record(router)
            fresh = await _fresh(router, self.comments, self.plan.clients)
        finally:
            await router.close()
        publish(copy, read_manifest(copy).model_copy(update={"fingerprint": fingerprint}))
        return self.registry.add(copy, self.taxonomy, WHO).version, fresh

    async def _loaded(
        self, client: httpx.AsyncClient, pid: int, turns: Sequence[CheckpointId]
    ) -> tuple[Load, MemoryMib]:
        load, over = Load(), asyncio.Event()
        clients = [_client(client, number, self.comments, load, over) for number in range(self.plan.clients)]
        asking = [asyncio.create_task(each) for each in clients]
        await asyncio.sleep(self.plan.quiet_s)
        before, after = _memory(pid), []
        try:
            for number, checkpoint in zip(range(self.plan.swaps), itertools.cycle(turns), strict=False):
                outcome = await _timed(client, checkpoint, load)
                await asyncio.sleep(self.plan.between_s)
                after.append(_memory(pid))
                self.say(f"{number + 1}/{self.plan.swaps} {checkpoint} {outcome}; {after[-1]:.0f} MiB")
        finally:
            over.set()
            await asyncio.gather(*asking)
        return load, MemoryMib(before, after)


async def _timed(client: httpx.AsyncClient, checkpoint: CheckpointId, load: Load) -> str:
    """One swap, in words."""
    began = time.monotonic()
    fault = await _swapped(client, checkpoint)
    load.windows.append((began, time.monotonic()))
    load.faults += [fault] if fault else []
    return f"{fault or 'active'} after {time.monotonic() - began:.1f} s"


async def _fresh(router: Router, comments: Sequence[str], clients: int) -> FreshAnswers:
    alone = [await _body(router, comment) for comment in comments]
    among: list[list[Body]] = [[] for _ in comments]
    # Each comment in three companies, as clients meet them: in order from different places.
    for turn in range(3):
        following = iter([*range(turn, len(comments)), *range(turn)])

        async def client(following: Any = following) -> None:
            for number in following:
                among[number].append(await _body(router, comments[number]))

        await asyncio.gather(*(client() for _ in range(clients)))
    return FreshAnswers(alone, among)


async def _body(router: Router, comment: str) -> Body:
    response = response_of(await router.route(comment), router.pair, "", {})
    return response.model_dump(mode="json", exclude_none=True)


async def _client(
    client: httpx.AsyncClient, number: int, comments: Sequence[str], load: Load, over: asyncio.Event
) -> None:
    for turn in itertools.count(number * 7):
        if over.is_set():
            return
        at, began = turn % len(comments), time.monotonic()
        try:
            answer = await client.post("/v1/route", json={"comment": comments[at], "id": "-"})
            body, fault = (answer.json(), "") if answer.is_success else (None, answer.text[:200])
        except (httpx.HTTPError, ValueError) as error:
            body, fault = None, repr(error)
        load.requests.append(LoadRequest(began, time.monotonic(), at, body, fault))
        if fault:
            await asyncio.sleep(POLL_S)  # a service that refuses at once is not to be asked in a tight loop


async def _swapped(client: httpx.AsyncClient, checkpoint: CheckpointId) -> str:
    """Activate, and follow to the end; what went wrong, or nothing."""
    asked = {"by": WHO, "without_gate": WHO}
    answer = await client.post(f"/v1/checkpoints/{checkpoint}/activate", json=asked)
    if answer.is_error:
        return answer.text[:200]
    while True:
        last = (await client.get("/v1/checkpoints")).raise_for_status().json()["activation"]
        if last["outcome"] != "under way":
            return "" if last["outcome"] == "active" else f"{last['broke_off']}: {last['reason']}"
        await asyncio.sleep(POLL_S)


def _memory(pid: int) -> float:
    """MiB resident in a process and all that descend from it. Raises EngineFailed where it has ended."""
    total = 0
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # an engine that was just closed
    except psutil.NoSuchProcess as error:
        raise EngineFailed("the service has ended") from error
    return round(total / 2**20, 1)


def figures(load: Load, fresh: Mapping[CheckpointId, FreshAnswers], plan: SwapPlan, memory: MemoryMib) -> SwapFigures:
    """An answer is compared with the fresh engine's of the version that it names."""
    kinds = [compared(request, fresh) for request in load.requests if request.body]
    quiet, during = load.latencies(during=False), load.latencies(during=True)
    return SwapFigures(
        swaps=plan.swaps - len(load.faults),
        requests=len(load.requests),
        failed=len(load.requests) - len(kinds),
        identical=kinds.count("identical"),
        same_labels=kinds.count("same_labels"),
        as_among_others=kinds.count("as_among_others"),
        mismatched=kinds.count("mismatched"),
        by_version={name: sum(r.body["checkpoint"] == name for r in load.requests if r.body) for name in fresh},
        p50_ms=_quantile(quiet, 50),
        p50_during_swap_ms=_quantile(during, 50),
        p99_ms=_quantile(quiet, 99),
        p99_during_swap_ms=_quantile(during, 99),
        longest_during_swap_ms=round(max(during, default=0.0), 1),
        requests_during_swap=len(during),
        swap_s=[round(end - begin, 2) for begin, end in load.windows],
        faults=load.faults + sorted({request.fault for request in load.requests if request.fault})[:10],
        memory_mib=memory,
        plan=plan,
        machine=this_machine(),
    )


def compared(request: LoadRequest, fresh: Mapping[CheckpointId, FreshAnswers]) -> str:
    """identical: what the fresh engine answers alone, to the last digit. same_labels: but for its probabilities.

    as_among_others: other labels than alone, but those that the fresh engine gave among others. Else mismatched.
    """
    body = request.body or {}
    known = fresh.get(body.get("checkpoint", ""))
    if known is None:
        return "mismatched"
    if _without_id(body) == _without_id(known.alone[request.comment]):
        return "identical"
    if _labels(body) == _labels(known.alone[request.comment]):
        return "same_labels"
    among = [_labels(other) for other in known.among[request.comment]]
    return "as_among_others" if _labels(body) in among else "mismatched"


def _without_id(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "id"}


def _labels(body: Body) -> Body:
    # Whether a segment needs review follows from its probabilities.
    left_out = {"confidence", "needs_review"}
    segments = [{k: v for k, v in segment.items() if k not in left_out} for segment in body["segments"]]
    residue = [{name: part[name] for name in part if name not in left_out} for part in body["residue"]]
    named = {name: body[name] for name in ("checkpoint", "taxonomy")}
    return named | {"segments": segments, "residue": residue}


def _quantile(values: Sequence[float], percent: int) -> float | None:
    return round(statistics.quantiles(values, n=100)[percent - 1], 1) if len(values) > 1 else None
