"""`route-feedback eval general ...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path as FilePath

from eval.general import CHAT, Generals, write_questions
from taxonomy import program
from taxonomy.errors import CallWrong

TASKS = tuple(CHAT)


def add_general(general: argparse.ArgumentParser) -> None:
    """The arguments of `eval general`."""
    general.add_argument("--model", required=True, help="a transformers directory or a hub id")
    general.add_argument("--data", type=FilePath, help="a folder with mmlu/, ifeval/ and gsm8k/; without it, the hub")
    general.add_argument("--tasks", type=_tasks, default=TASKS, help=f"of {','.join(TASKS)}; all by default")
    general.add_argument("--limit", type=int, help="ask only so many questions of each task (of MMLU: each subject)")
    general.add_argument("--batch", type=int, default=8, help="questions at once")
    general.add_argument("--out", type=FilePath, help="write every question's result here, as JSONL")
    general.add_argument("--json", action="store_true")
    general.set_defaults(run=_general)


def _tasks(text: str) -> tuple[str, ...]:
    """Named tasks, each once, in our order."""
    names = text.split(",")
    if unknown := [name for name in names if name not in TASKS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(TASKS)}")
    return tuple(name for name in TASKS if name in names)


def _general(given: argparse.Namespace) -> int:
    if given.limit is not None and given.limit < 1:
        raise CallWrong(f"--limit {given.limit}: at least one question must be asked")
    if given.data and not given.data.is_dir():
        raise CallWrong(f"--data {given.data} is no folder")
    from eval.general_models import open_model  # noqa: PLC0415 (the harness takes seconds to import)
    from eval.general_run import run  # noqa: PLC0415

    model = open_model(given.model, given.batch, chat=any(CHAT[name] for name in given.tasks))
    scores, questions = run(model, given.tasks, given.data, given.limit, _say)
    if given.out:
        write_questions(questions, given.out)
    program.tell(scores.as_json(), _table(scores), as_json=given.json)
    return 0


def _say(line: str) -> None:
    print(f"== {line}", file=sys.stderr, flush=True)


def _table(scores: Generals) -> str:
    lines = []
    for benchmark, measured in scores.benchmarks.items():
        if measured is None:
            lines.append(f"{benchmark:<16} not scored")
        else:
            lines += [f"{benchmark:<16} {name:<20} {figure}" for name, figure in measured.figures.items()]
    return "\n".join(lines)
