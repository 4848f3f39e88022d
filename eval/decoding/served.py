"""Gold comments through a running service: what it answers, and whether each answer keeps the contract."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from tqdm import tqdm

from eval.scoring.predictions import JsonObject, Prediction, PredictionRow, match, path_of
from eval.scoring.scores import Scores
from taxonomy.comments import LabelledComment
from taxonomy.errors import EngineFailed
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of

TIMEOUT_S: Final = 600
Reply = JsonObject
"""The service's JSON, or its problem's, with the HTTP status."""
Ask = Callable[[LabelledComment], Awaitable[Reply]]


def recorded(gold: Path, served: Served, scores: Scores) -> JsonObject:
    """What the manifest keeps of it: the scores, what they are of, and the violations."""
    read = {"comments": len(served.predictions), "gold": hashlib.sha256(gold.read_bytes()).hexdigest()}
    return scores.as_json() | read | {"violations": served.violations, "seconds": round(served.seconds, 1)}


@dataclass(frozen=True)
class Served:
    """Predictions in the order of the gold, their lines as a file keeps them, and of each violation what it was."""

    predictions: list[Prediction]
    lines: list[JsonObject]
    violations: list[str]
    taxonomy: Taxonomy
    seconds: float

    @property
    def checkpoints(self) -> set[str]:
        """Those that answered."""
        return {line["checkpoint"] for line in self.lines}


async def serve_gold(gold: Sequence[LabelledComment], url: str, at_once: int) -> Served:
    """Ask the service for every gold comment. Raises EngineFailed where it does not answer at all."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:

        async def ask(comment: LabelledComment) -> Reply:
            return _reply(await client.post("/v1/route", json={"id": comment.id, "comment": comment.comment}))

        try:
            return await answered(gold, ask, await _taxonomy(client), at_once)
        except httpx.HTTPError as error:
            raise EngineFailed(f"{url} does not answer: {error or type(error).__name__}") from error


def _reply(response: httpx.Response) -> Reply:
    try:
        body = response.json()
    except ValueError:
        body = None
    status = {"status": response.status_code}
    return body | status if isinstance(body, dict) else status | {"detail": "the answer is no JSON object"}


async def _taxonomy(client: httpx.AsyncClient) -> Taxonomy:
    response = (await client.get("/v1/taxonomy")).raise_for_status()
    try:
        leaves = response.json()["leaves"]
        return taxonomy_of(Leaf(path_of(leaf), team=leaf["team"], workflow=leaf["workflow"]) for leaf in leaves)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFailed(f"{client.base_url} is not this service: its /v1/taxonomy has no leaves") from error


async def answered(gold: Sequence[LabelledComment], ask: Ask, taxonomy: Taxonomy, at_once: int) -> Served:
    """Every gold comment's reply, checked and read. What `ask` raises ends it."""
    turn = asyncio.Semaphore(at_once)
    loop = asyncio.get_running_loop()
    started = loop.time()
    with tqdm(total=len(gold), unit=" comments") as progress:

        async def one(comment: LabelledComment) -> Reply:
            async with turn:
                reply = await ask(comment)
            progress.update()
            return reply

        replies = await asyncio.gather(*map(one, gold))
    lines = [_line(g, r) for g, r in zip(gold, replies, strict=True) if "segments" in r]
    return Served(
        predictions=match((_row(line) for line in lines), gold, taxonomy).predictions,
        lines=lines,
        violations=[f"{g.id}: {v}" for g, r in zip(gold, replies, strict=True) for v in _violations(g, r, taxonomy)],
        taxonomy=taxonomy,
        seconds=loop.time() - started,
    )


def _violations(gold: LabelledComment, answer: Reply, taxonomy: Taxonomy) -> list[str]:
    if "segments" not in answer:
        return [f"status {answer['status']}: {answer.get('detail')}"]
    spans = sorted([*answer["segments"], *answer["residue"]], key=lambda span: int(span["start"]))
    faults = []
    if "".join(span["content"] for span in spans) != gold.comment:
        faults.append("segments and residue do not lay end to end to the comment")
    if any(gold.comment[span["start"] : span["end"]] != span["content"] for span in spans):
        faults.append("a span is not where it says")
    if any(path_of(segment) not in taxonomy for segment in answer["segments"]):
        faults.append("a path is not in the taxonomy")
    sure = [p for segment in answer["segments"] for p in segment["confidence"].values()]
    sure += [residue["confidence"] for residue in answer["residue"]]
    if any(not 0 <= p <= 1 for p in sure):
        faults.append("a confidence is no probability")
    return faults


def _line(gold: LabelledComment, answer: Reply) -> JsonObject:
    named = {name: answer[name] for name in ("checkpoint", "taxonomy")}
    parts = {
        kind: [{name: part[name] for name in part if name not in _ELSEWHERE} for part in answer[kind]]
        for kind in ("segments", "residue")
    }
    return {"id": gold.id, "comment": gold.comment} | named | parts


_ELSEWHERE = {"team", "workflow", "needs_review", "alternatives"}
"""What follows from a part's labels and confidence."""


def _row(line: JsonObject) -> PredictionRow:
    return PredictionRow(line["id"], line["id"], line["comment"], None, line["segments"], residue=line["residue"])
