"""`route-feedback eval served`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import Gold
from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong, DataInvalid


def command(
    gold: Gold,
    url: Annotated[str, typer.Option(help="The service.")] = "http://127.0.0.1:8000",
    out: Annotated[Path | None, typer.Option(help="Write the predictions here, with their confidences.")] = None,
    at_once: Annotated[int, typer.Option(help="Comments under way at a time.")] = 32,
    record: Annotated[
        Path | None, typer.Option(help="The checkpoint directory whose manifest keeps the scores.")
    ] = None,
    json: Json = False,
) -> int:
    """Gold comments through a running service: scores and violations. Exit code 1 where there are violations."""
    from eval.commands.score_table import score_table, single_scores
    from eval.decoding.served import recorded, serve_gold
    from eval.scoring.predictions import read_gold
    from eval.scoring.scores import score
    from taxonomy.checkpoint.manifest import publish, read_manifest
    from taxonomy.files import write_jsonl

    if at_once < 1:
        raise CallWrong(f"--at-once {at_once}: at least one comment must be asked")
    comments, manifest = read_gold(gold), read_manifest(record) if record else None
    served = asyncio.run(serve_gold(comments, url, at_once))
    if out:
        write_jsonl(served.lines, out)
    scores = score(comments, served.predictions, served.taxonomy)
    value = recorded(gold, served, scores)
    if manifest and record:
        if others := sorted(served.checkpoints - {manifest.version}):
            raise DataInvalid(f"{url} serves {', '.join(others)}, and not {manifest.version} of {record}")
        publish(record, manifest.model_copy(update={"scores": manifest.scores | {gold.stem: value}}))
    summary = f"{len(comments)} comments in {value['seconds']} s, {len(served.violations)} violations"
    emit(value, score_table(scores), *single_scores(scores), summary, *served.violations, as_json=json)
    return 1 if served.violations else 0
