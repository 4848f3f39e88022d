"""`route-feedback eval run`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import say
from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong


def command(
    checkpoint: Annotated[Path, typer.Option(help="Its directory, whose manifest is added to.")],
    out: Annotated[Path, typer.Option(help="A new or empty folder for answers and report.")],
    suite: Annotated[
        Path | None, typer.Option(help="YAML: what to ask; the bundled test split alone by default.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="The --out of an earlier run, to stand beside.")] = None,
    json: Json = False,
) -> None:
    """All of it: decode, calibrate, score, compare, report."""
    from eval.decoding.evaluation import Evaluation, read_evaluation
    from eval.decoding.run import PREDICTIONS, keep, read_inputs, through_engine, write_evaluation
    from serve.settings import load_settings
    from taxonomy.checkpoint.manifest import MANIFEST, read_manifest

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CallWrong(f"{out} is no empty folder; give another --out or remove it")
    for name in (PREDICTIONS, MANIFEST):
        if baseline and not (baseline / name).is_file():
            raise CallWrong(f"{baseline} has no {name}; give the --out of an earlier run")
    manifest = read_manifest(checkpoint)
    inputs = read_inputs(read_evaluation(suite) if suite else Evaluation())
    evaluation = inputs.evaluation
    settings = load_settings(os.environ, checkpoint=str(checkpoint), taxonomy=str(evaluation.taxonomy))
    answers = asyncio.run(through_engine(settings, inputs, manifest, say))
    manifest = keep(checkpoint, out, inputs, answers, say)
    files = write_evaluation(out, baseline, inputs, answers.served.taxonomy)

    seconds, violations = round(answers.served.seconds, 1), answers.served.violations
    scores = manifest.scores[evaluation.gold.stem]
    leaf, routed = scores["leaf"], scores["routed"] or {}
    emit(
        {"checkpoint": manifest.version, "scores": manifest.scores, "files": [str(file) for file in files]},
        f"{len(inputs.gold)} comments in {seconds} s, {len(violations)} violations",
        *violations,
        f"leaf F1 {leaf['micro']['f1']}, 95% bootstrap over comments: {leaf['f1_95']}",
        *(f"route at {routed['error']:.0%} {by} error: {share:.1%}" for by, share in routed.items() if by != "error"),
        f"what the gate needs: {checkpoint / MANIFEST}",
        *map(str, files),
        as_json=json,
    )
