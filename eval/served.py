"""Gold comments through a running service: what it answers, and whether each answer keeps the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from tqdm import tqdm

from taxonomy.comments import LabelledComment, Span
from taxonomy.errors import EngineFailed
from taxonomy.labels import LEVELS, Path, emotion_named

TIMEOUT_S = 600


@dataclass(frozen=True)
class Served:
    """Predictions in the order of the gold, and of each violation what it was."""

    predictions: list[LabelledComment]
    violations: list[str]
    seconds: float


async def serve_gold(gold: Sequence[LabelledComment], url: str, at_once: int) -> Served:
    """Ask the service for every gold comment. Raises EngineFailed where it does not answer at all."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        try:
            leaves = (await client.get("/v1/taxonomy")).raise_for_status().json()["leaves"]
            paths = {tuple(leaf[level] for level in LEVELS if level in leaf) for leaf in leaves}
            gate = asyncio.Semaphore(at_once)
            progress = tqdm(total=len(gold), unit=" comments")
            loop = asyncio.get_running_loop()
            started = loop.time()

            async def one(comment: LabelledComment) -> dict[str, Any]:
                async with gate:
                    response = await client.post("/v1/route", json={"id": comment.id, "comment": comment.comment})
                progress.update()
                body: dict[str, Any] = response.json()
                return body | {"status": response.status_code}

            answers = await asyncio.gather(*map(one, gold))
        except httpx.HTTPError as error:
            raise EngineFailed(f"{url} does not answer: {error or type(error).__name__}") from error
        progress.close()
    violations = [f"{g.id}: {fault}" for g, a in zip(gold, answers, strict=True) for fault in _faults(g, a, paths)]
    return Served([_prediction(g, a) for g, a in zip(gold, answers, strict=True)], violations, loop.time() - started)


def _faults(gold: LabelledComment, answer: dict[str, Any], paths: set[Path]) -> list[str]:
    if "segments" not in answer:
        return [f"status {answer['status']}: {answer.get('detail')}"]
    spans = sorted([*answer["segments"], *answer["residue"]], key=lambda span: int(span["start"]))
    faults = []
    if "".join(span["content"] for span in spans) != gold.comment:
        faults.append("segments and residue do not lay end to end to the comment")
    if any(gold.comment[span["start"] : span["end"]] != span["content"] for span in spans):
        faults.append("a span is not where it says")
    if any(_path(segment) not in paths for segment in answer["segments"]):
        faults.append("a path is not in the taxonomy")
    if any(not 0 <= p <= 1 for segment in answer["segments"] for p in segment["confidence"].values()):
        faults.append("a confidence is no probability")
    return faults


def _prediction(gold: LabelledComment, answer: dict[str, Any]) -> LabelledComment:
    spans = [Span(s["start"], s["end"], _path(s), emotion_named(s["emotion"])) for s in answer.get("segments", [])]
    return LabelledComment(gold.id, gold.comment, tuple(spans))


def _path(segment: dict[str, Any]) -> Path:
    return tuple(segment[level] for level in LEVELS if level in segment)
