"""The general benchmarks asked of a model in a directory or on the hub: the harness's, and the suite."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

from eval.decoding.decoder import answers
from eval.decoding.evaluation import General
from eval.general.benchmarks import BENCHMARKS, SUITE
from eval.general.figures import GeneralRun, GeneralScores
from eval.general.suite import Question, read_questions
from eval.general.suite_run import run_suite, suite_scores
from serve.routing.source import loadable
from serve.settings import cache_folder
from taxonomy.errors import CallWrong, DataInvalid


def run_general(model: str, general: General, say: Callable[[str], None]) -> GeneralRun:
    """Ask the model. Raises CallWrong, DataInvalid or CheckpointInvalid."""
    of_harness = [name for name in general.chosen if name in BENCHMARKS]
    questions = check_general(general)
    model = loadable(model, cache_folder(os.environ))
    found = GeneralRun(GeneralScores(version("lm_eval"), general.limit), [])
    if of_harness:
        # The harness takes seconds to import, and an evaluation without general benchmarks needs none of it.
        from eval.general.models import open_model  # noqa: PLC0415
        from eval.general.run import run  # noqa: PLC0415

        opened = open_model(model, general.batch, chat=any(BENCHMARKS[name].through_chat for name in of_harness))
        found = run(opened, of_harness, general.data, general.limit, say)
    if questions:
        say(f"{SUITE}: {len(questions)} questions")
        results = run_suite(model, questions, general.batch, answers)
        found = GeneralRun(
            replace(found.scores, measured={**found.scores.measured, SUITE: suite_scores(results)}),
            [*found.questions, *results],
        )
    return found


def check_general(general: General) -> list[Question]:
    """Before anything takes long: the suite's questions, if they are to be asked. Raises CallWrong or DataInvalid."""
    if general.data and not general.data.is_dir():
        raise CallWrong(f"{general.data} is no folder of general benchmarks")
    if not general.chosen:
        raise CallWrong(f"{general.data} holds the data of no general benchmark; name with --tasks what is to be asked")
    if "ifeval" in general.chosen:
        from eval.general.tasks import prepare_ifeval  # noqa: PLC0415 (the harness takes seconds to import)

        prepare_ifeval(general.data, cache_folder(os.environ))
    if SUITE not in general.chosen or general.questions is None:
        return []
    questions = list(read_questions(general.questions))
    if not questions:
        raise DataInvalid(f"{general.questions} has no questions")
    return questions
