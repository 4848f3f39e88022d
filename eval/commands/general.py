"""`route-feedback eval general ...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from eval.decoding.evaluation import General
from eval.general.figures import CHAT, SUITE, Generals, Run, write_questions
from eval.general.suite import Question as Asked
from eval.general.suite import read_questions
from eval.judging.paired import with_general
from taxonomy import command_line
from taxonomy.checkpoint.manifest import publish, read_manifest
from taxonomy.errors import CallWrong, DataInvalid

TASKS = (*CHAT, SUITE)


def add_general(general: argparse.ArgumentParser) -> None:
    """The arguments of `eval general`."""
    general.add_argument("--model", required=True, help="a transformers directory or a hub id")
    general.add_argument("--data", type=Path, help="a folder with mmlu/, ifeval/ and gsm8k/; without it, the hub")
    general.add_argument("--questions", type=Path, help="JSONL of the general suite (`train suite DIR`), for `suite`")
    general.add_argument("--tasks", type=_tasks, default=(), help=f"of {','.join(TASKS)}; all that there are data for")
    general.add_argument(
        "--limit", type=int, help="ask only so many questions of each of the harness's tasks (of MMLU: each subject)"
    )
    general.add_argument("--batch", type=int, default=8, help="questions at once")
    general.add_argument("--out", type=Path, help="write every question's result here, as JSONL")
    general.add_argument("--record", action="store_true", help="keep it in the manifest of --model, for the gate")
    general.add_argument("--json", action="store_true")
    general.set_defaults(run=_general)


def _tasks(text: str) -> tuple[str, ...]:
    """Named tasks, each once, in our order."""
    names = text.split(",")
    if unknown := [name for name in names if name not in TASKS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(TASKS)}")
    return tuple(name for name in TASKS if name in names)


def _general(given: argparse.Namespace) -> int:
    asked = _asked(given)
    check(asked)
    manifest = read_manifest(Path(given.model)) if given.record else None
    found = ask(given.model, asked, say)
    if given.out:
        write_questions(found.questions, given.out)
    if manifest:
        publish(Path(given.model), with_general(manifest, found))
    command_line.tell(found.scores.as_json(), _table(found.scores), as_json=given.json)
    return 0


def _asked(given: argparse.Namespace) -> General:
    """Raises CallWrong."""
    for name in ("limit", "batch"):
        if (value := getattr(given, name)) is not None and value < 1:
            raise CallWrong(f"--{name} {value}: at least one question must be asked")
    if SUITE in given.tasks and not given.questions:
        raise CallWrong("the task suite needs --questions, a file of them; `route-feedback train suite DIR` writes one")
    return General(data=given.data, questions=given.questions, tasks=given.tasks, limit=given.limit, batch=given.batch)


def ask(model: str, general: General, say: Callable[[str], None]) -> Run:
    """Ask a model in a directory or on the hub. Raises CallWrong, DataInvalid or CheckpointInvalid."""
    of_harness = [name for name in general.chosen if name in CHAT]
    suite = check(general)
    found = Run(Generals(version("lm_eval"), general.limit), [])
    if of_harness:
        from eval.general.models import open_model  # noqa: PLC0415 (the harness takes seconds to import)
        from eval.general.run import run  # noqa: PLC0415

        opened = open_model(model, general.batch, chat=any(CHAT[name] for name in of_harness))
        found = run(opened, of_harness, general.data, general.limit, say)
    if suite:
        from eval.general.suite_run import answer, measured  # noqa: PLC0415 (torch takes seconds to import)

        say(f"{SUITE}: {len(suite)} questions")
        answered = answer(model, suite, general.batch)
        found = Run(replace(found.scores, suite=measured(answered)), [*found.questions, *answered])
    return found


def check(general: General) -> list[Asked]:
    """Before anything takes long: the suite's questions, if they are to be asked. Raises CallWrong or DataInvalid."""
    if general.data and not general.data.is_dir():
        raise CallWrong(f"{general.data} is no folder of general benchmarks")
    if "ifeval" in general.chosen:
        from eval.general.tasks import prepare_ifeval  # noqa: PLC0415 (the harness takes seconds to import)

        prepare_ifeval(general.data)
    if SUITE not in general.chosen or general.questions is None:
        return []
    questions = list(read_questions(general.questions))
    if not questions:
        raise DataInvalid(f"{general.questions} has no questions")
    return questions


def say(line: str) -> None:
    """Progress, for a person."""
    print(f"== {line}", file=sys.stderr, flush=True)


def _table(scores: Generals) -> str:
    lines = []
    for benchmark, measured in scores.benchmarks.items():
        if measured is None:
            lines.append(f"{benchmark:<16} not scored")
        else:
            lines += [f"{benchmark:<16} {name:<20} {figure}" for name, figure in measured.figures.items()]
    return "\n".join(lines)
