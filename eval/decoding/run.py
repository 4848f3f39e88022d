"""`eval run`: gold comments through the engine that serves; scores, calibration, general benchmarks, the report."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eval.commands.general import ask, check, say
from eval.commands.voc import frequencies, read_groups
from eval.decoding.evaluation import Evaluation, read_evaluation
from eval.decoding.served import Served, recorded
from eval.general.figures import write_questions
from eval.judging.paired import with_general
from eval.report.files import write_report
from eval.scoring.predictions import read_gold, read_predictions
from taxonomy import command_line
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, publish, read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.labels import LabelPath
from taxonomy.tree import Taxonomy

if TYPE_CHECKING:
    from serve.routing.router import Router

PREDICTIONS: Final = "predictions.jsonl"
QUESTIONS: Final = "questions.jsonl"


class Inputs(NamedTuple):
    """What an evaluation asks, and all that it needs from files: read before an engine is started."""

    asked: Evaluation
    gold: list[LabelledComment]
    others: list[LabelledComment] | None
    seen: Mapping[LabelPath, int] | None
    groups: Mapping[str, str] | None


class Answers(NamedTuple):
    """What came through the engine. calibration: fitted now, or the checkpoint's own. fingerprint: None without one."""

    served: Served
    calibration: Calibration | None
    fingerprint: dict[str, Any] | None


def add_run(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval run`."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="its directory, whose manifest is added to")
    parser.add_argument("--suite", type=Path, help="YAML: what to ask (default: the bundled test split alone)")
    parser.add_argument("--baseline", type=Path, help="the --out of an earlier run, to stand beside")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder for answers and report")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    if given.out.exists() and (not given.out.is_dir() or any(given.out.iterdir())):
        raise CallWrong(f"{given.out} is no empty folder; give another --out or remove it")
    for name in (PREDICTIONS, MANIFEST):
        if given.baseline and not (given.baseline / name).is_file():
            raise CallWrong(f"{given.baseline} has no {name}; give the --out of an earlier run")
    manifest = read_manifest(given.checkpoint)
    inputs = read(read_evaluation(given.suite) if given.suite else Evaluation())
    answers = asyncio.run(_through_engine(given.checkpoint, inputs, manifest))
    manifest = keep(given.checkpoint, given.out, inputs, answers)
    files = write(given.out, given.baseline, inputs, answers.served.taxonomy)

    seconds, violations = round(answers.served.seconds, 1), answers.served.violations
    leaf = manifest.scores[inputs.asked.gold.stem]["leaf"]
    lines = [
        f"{len(inputs.gold)} comments in {seconds} s, {len(violations)} violations",
        *violations,
        f"leaf F1 {leaf['micro']['f1']}, 95% bootstrap over comments: {leaf['f1_95']}",
        f"what the gate needs: {given.checkpoint / MANIFEST}",
        *map(str, files),
    ]
    value = {"checkpoint": manifest.version, "scores": manifest.scores, "files": [str(file) for file in files]}
    command_line.tell(value, "\n".join(lines), as_json=given.json)
    return 0


def read(asked: Evaluation) -> Inputs:
    """Raises CallWrong or DataInvalid for whatever is wrong with a file."""
    if asked.general:
        check(asked.general)
    gold = read_gold(asked.gold)
    others = read_gold(asked.calibration) if asked.calibration else None
    if both := sorted({comment.comment for comment in gold} & {comment.comment for comment in others or ()}):
        raise DataInvalid(f"{asked.calibration}: {len(both)} comments are in {asked.gold} too, first {both[0][:60]!r}")
    return Inputs(
        asked=asked,
        gold=gold,
        others=others,
        seen=frequencies(asked.train) if asked.train else None,
        groups=read_groups(asked.chosen_groups, gold) if asked.chosen_groups else None,
    )


async def _through_engine(folder: Path, inputs: Inputs, manifest: Manifest) -> Answers:
    from serve.routing.pair import load_pair  # noqa: PLC0415 (seconds, like all that the service is made of)
    from serve.settings import load_settings  # noqa: PLC0415
    from serve.start import start_router  # noqa: PLC0415

    settings = load_settings(os.environ, checkpoint=str(folder), taxonomy=str(inputs.asked.taxonomy))
    pair = load_pair(settings)
    say(f"loading {folder} (about a minute)")
    router = await start_router(settings, pair)
    try:
        return await answers_of(router, inputs, manifest)
    finally:
        await router.close()


async def answers_of(router: Router, inputs: Inputs, manifest: Manifest) -> Answers:
    """Fingerprint first, then the calibration, and with it the gold: as it will be served."""
    from eval.decoding.decoding import calibrated, decoded, reproduced  # noqa: PLC0415 (scikit-learn, and what serves)

    if manifest.fingerprint is None:
        say(f"no fingerprint to verify; `route-feedback checkpoint fingerprint {router.pair.model}` records one")
    fingerprint = await reproduced(router, manifest.fingerprint) if manifest.fingerprint else None
    calibration = manifest.calibration
    if inputs.others:
        say(f"{inputs.asked.calibration}: {len(inputs.others)} comments to calibrate on")
        calibration = await calibrated(router, inputs.others, inputs.asked.wanted_error, say)
    say(f"{inputs.asked.gold}: {len(inputs.gold)} comments")
    served = await decoded(router.under(calibration), inputs.gold)
    return Answers(served, calibration, fingerprint)


def with_answers(manifest: Manifest, inputs: Inputs, answers: Answers) -> Manifest:
    """The manifest with what came through the engine. What the gate said before was of other scores."""
    from eval.scoring.scores import score  # noqa: PLC0415 (scikit-learn takes seconds to import)

    served = answers.served
    found = score(inputs.gold, served.predictions, served.taxonomy, inputs.seen, inputs.groups)
    scores = manifest.scores | {inputs.asked.gold.stem: recorded(inputs.asked.gold, served, found)}
    if answers.fingerprint:
        scores |= {"fingerprint": answers.fingerprint}
    return manifest.model_copy(update={"scores": scores, "calibration": answers.calibration, "decision": None})


def keep(checkpoint: Path, out: Path, inputs: Inputs, answers: Answers) -> Manifest:
    """Into `out` the answers; into the checkpoint's manifest, and a copy of it in `out`, what was measured.

    The general benchmarks, which may take hours and fail, come last.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(answers.served.lines, out / PREDICTIONS)
    manifest = with_answers(read_manifest(checkpoint), inputs, answers)
    publish(checkpoint, manifest)
    if inputs.asked.general:
        run = ask(str(checkpoint), inputs.asked.general, say)
        write_questions(run.questions, out / QUESTIONS)
        manifest = with_general(manifest, run)
        publish(checkpoint, manifest)
    publish(out, manifest)
    return manifest


def write(out: Path, baseline: Path | None, inputs: Inputs, taxonomy: Taxonomy) -> list[Path]:
    """The report on what `keep` wrote into `out`, beside what another run wrote into `baseline`."""
    from eval.report.report import Side, report  # noqa: PLC0415 (scikit-learn takes seconds to import)

    sides = [
        Side(name, read_predictions(folder / PREDICTIONS, inputs.gold, taxonomy), read_manifest(folder))
        for name, folder in (("candidate", out), ("baseline", baseline))
        if folder
    ]
    return write_report(report(inputs.gold, sides, taxonomy, inputs.seen, inputs.groups), out)
