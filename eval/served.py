"""Gold comments through a running service: what it answers, and whether each answer keeps the contract."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import httpx
from tqdm import tqdm

from eval.predictions import Prediction, Row, match, path_of, read_gold
from taxonomy import program
from taxonomy.checkpoint import publish, read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.errors import EngineFailed
from taxonomy.files import write_jsonl
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of

TIMEOUT_S = 600


def add_served(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval served`."""
    parser.add_argument("--gold", type=FilePath, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--out", type=FilePath, help="write the predictions here, with their confidences")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--record", type=FilePath, help="the checkpoint directory whose manifest keeps the scores")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_served)


def _served(given: argparse.Namespace) -> int:
    from eval.scores import score  # noqa: PLC0415 (scikit-learn takes seconds to import)
    from eval.voc import table  # noqa: PLC0415

    gold = read_gold(given.gold)
    served = asyncio.run(serve_gold(gold, given.url, given.at_once))
    if given.out:
        write_jsonl(served.lines, given.out)
    scores = score(gold, served.predictions, served.taxonomy)
    seconds = round(served.seconds, 1)
    read = {"comments": len(gold), "gold": hashlib.sha256(given.gold.read_bytes()).hexdigest()}
    value = scores.as_json() | read | {"violations": served.violations, "seconds": seconds}
    if given.record:
        manifest = read_manifest(given.record)
        publish(given.record, manifest.model_copy(update={"scores": manifest.scores | {given.gold.stem: value}}))
    summary = f"{len(gold)} comments in {seconds} s, {len(served.violations)} violations"
    program.tell(value, "\n".join([*table(scores), summary, *served.violations]), as_json=given.json)
    return 1 if served.violations else 0


@dataclass(frozen=True)
class Served:
    """Predictions in the order of the gold, their lines as a file keeps them, and of each violation what it was."""

    predictions: list[Prediction]
    lines: list[dict[str, Any]]
    violations: list[str]
    taxonomy: Taxonomy
    seconds: float


async def serve_gold(gold: Sequence[LabelledComment], url: str, at_once: int) -> Served:
    """Ask the service for every gold comment. Raises EngineFailed where it does not answer at all."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        try:
            leaves = (await client.get("/v1/taxonomy")).raise_for_status().json()["leaves"]
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
    taxonomy = taxonomy_of(Leaf(path_of(leaf), team=leaf["team"], workflow=leaf["workflow"]) for leaf in leaves)
    lines = [_line(g, a) for g, a in zip(gold, answers, strict=True) if "segments" in a]
    return Served(
        predictions=match((_row(line) for line in lines), gold, taxonomy).predictions,
        lines=lines,
        violations=[f"{g.id}: {v}" for g, a in zip(gold, answers, strict=True) for v in _violations(g, a, taxonomy)],
        taxonomy=taxonomy,
        seconds=loop.time() - started,
    )


def _violations(gold: LabelledComment, answer: dict[str, Any], taxonomy: Taxonomy) -> list[str]:
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
    if any(not 0 <= p <= 1 for segment in answer["segments"] for p in segment["confidence"].values()):
        faults.append("a confidence is no probability")
    return faults


def _line(gold: LabelledComment, answer: dict[str, Any]) -> dict[str, Any]:
    named = {name: answer[name] for name in ("checkpoint", "taxonomy")}
    segments = [{name: s[name] for name in s if name not in _ELSEWHERE} for s in answer["segments"]]
    return {"id": gold.id, "comment": gold.comment} | named | {"segments": segments}


_ELSEWHERE = {"team", "workflow", "needs_review"}
"""What follows from a segment's labels and confidence."""


def _row(line: dict[str, Any]) -> Row:
    return Row(line["id"], line["id"], line["comment"], None, line["segments"])
