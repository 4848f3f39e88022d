"""Gold comments through the engine that serves: scores, calibration, general benchmarks, the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from eval.decoding.decoding import Reproduction, calibrated, decoded, reproduced
from eval.decoding.evaluation import Evaluation
from eval.decoding.general import check_general, run_general
from eval.decoding.served import Served, recorded
from eval.general.figures import write_questions
from eval.judging.paired import with_general
from eval.report.files import write_report
from eval.report.report import WRONG, Side, report, trust_of
from eval.scoring.breakdowns import read_frequencies, read_groups
from eval.scoring.predictions import read_gold, read_predictions
from eval.scoring.scores import score
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import load_pair, start_router
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.manifest import Manifest, publish, read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid
from taxonomy.files import write_jsonl
from taxonomy.labels import LabelPath
from taxonomy.tree import Taxonomy

PREDICTIONS: Final = "predictions.jsonl"
QUESTIONS: Final = "questions.jsonl"
Say = Callable[[str], None]


class Inputs(NamedTuple):
    """What an evaluation asks, and all that it needs from files: read before an engine is started."""

    evaluation: Evaluation
    gold: list[LabelledComment]
    others: list[LabelledComment] | None
    seen: Mapping[LabelPath, int] | None
    groups: Mapping[str, str] | None


class EngineAnswers(NamedTuple):
    """What came through the engine.

    calibration: fitted now, or the checkpoint's own. reproduction: of its fingerprint; None without one.
    """

    served: Served
    calibration: Calibration | None
    reproduction: Reproduction | None


def read_inputs(evaluation: Evaluation) -> Inputs:
    """Raises CallWrong or DataInvalid for whatever is wrong with a file."""
    if evaluation.general:
        check_general(evaluation.general)
    gold = read_gold(evaluation.gold)
    others = read_gold(evaluation.calibration) if evaluation.calibration else None
    if both := sorted({comment.comment for comment in gold} & {comment.comment for comment in others or ()}):
        raise DataInvalid(
            f"{evaluation.calibration}: {len(both)} comments are in {evaluation.gold} too, first {both[0][:60]!r}"
        )
    return Inputs(
        evaluation=evaluation,
        gold=gold,
        others=others,
        seen=read_frequencies(evaluation.train) if evaluation.train else None,
        groups=read_groups(evaluation.chosen_groups, gold) if evaluation.chosen_groups else None,
    )


async def through_engine(settings: Settings, inputs: Inputs, manifest: Manifest, say: Say) -> EngineAnswers:
    """Start the engine on the settings' checkpoint and taxonomy, ask it, and stop it."""
    pair = load_pair(settings)
    say(f"loading {settings.checkpoint} (about a minute)")
    router = await start_router(settings, pair)
    try:
        return await answers_of(router, inputs, manifest, say)
    finally:
        await router.close()


async def answers_of(router: Router, inputs: Inputs, manifest: Manifest, say: Say) -> EngineAnswers:
    """Fingerprint first, then the calibration, and with it the gold: as it will be served."""
    if manifest.fingerprint is None:
        say("no fingerprint to verify; `route-feedback checkpoint fingerprint DIR` records one")
    reproduction = await reproduced(router, manifest.fingerprint) if manifest.fingerprint else None
    calibration = manifest.calibration
    if inputs.others:
        say(f"{inputs.evaluation.calibration}: {len(inputs.others)} comments to calibrate on")
        calibration = await calibrated(router, inputs.others, inputs.evaluation.wanted_error, say)
    say(f"{inputs.evaluation.gold}: {len(inputs.gold)} comments")
    served = await decoded(router.under(calibration), inputs.gold)
    return EngineAnswers(served, calibration, reproduction)


def with_answers(manifest: Manifest, inputs: Inputs, answers: EngineAnswers) -> Manifest:
    """The manifest with what came through the engine. What the gate said before was of other scores."""
    served, gold = answers.served, inputs.evaluation.gold
    found = score(inputs.gold, served.predictions, served.taxonomy, inputs.seen, inputs.groups)
    trust = trust_of(inputs.gold, served.predictions, served.taxonomy)
    at_error = {"error": WRONG} | {by: routing.at_error for by, routing in trust.routing.items()} if trust else None
    scores = manifest.scores | {gold.stem: recorded(gold, served, found) | {"routed": at_error}}
    if answers.reproduction:
        scores |= {"fingerprint": answers.reproduction.model_dump(exclude_none=True)}
    return manifest.model_copy(update={"scores": scores, "calibration": answers.calibration, "decision": None})


def keep(checkpoint: Path, out: Path, inputs: Inputs, answers: EngineAnswers, say: Say) -> Manifest:
    """Into `out` the answers; into the checkpoint's manifest, and a copy of it in `out`, what was measured.

    The general benchmarks, which may take hours and fail, come last.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(answers.served.lines, out / PREDICTIONS)
    manifest = with_answers(read_manifest(checkpoint), inputs, answers)
    publish(checkpoint, manifest)
    if inputs.evaluation.general:
        run = run_general(str(checkpoint), inputs.evaluation.general, say)
        write_questions(run.questions, out / QUESTIONS)
        manifest = with_general(manifest, run)
        publish(checkpoint, manifest)
    publish(out, manifest)
    return manifest


def write_evaluation(out: Path, baseline: Path | None, inputs: Inputs, taxonomy: Taxonomy) -> list[Path]:
    """The report on what `keep` wrote into `out`, beside what another run wrote into `baseline`."""
    sides = [
        Side(name, read_predictions(folder / PREDICTIONS, inputs.gold, taxonomy), read_manifest(folder))
        for name, folder in (("candidate", out), ("baseline", baseline))
        if folder
    ]
    return write_report(report(inputs.gold, sides, taxonomy, inputs.seen, inputs.groups), out)
