"""`route-feedback eval general`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from eval.commands.options import chosen, say
from taxonomy.command_line import Json, emit, table
from taxonomy.errors import CallWrong

if TYPE_CHECKING:
    from eval.general.figures import GeneralScores


def command(
    model: Annotated[
        str, typer.Option("--checkpoint", "--model", help="A transformers directory, a packaged base or a hub id.")
    ],
    data: Annotated[Path | None, typer.Option(help="A folder with mmlu/, arc/ and so on; without it, the hub.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSONL of the general suite (`train suite DIR`), for the task `suite`.")
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            help="Of mmlu, mmlu_generative, mmlu_continuation, arc_easy, arc_challenge, piqa, hellaswag, winogrande, "
            "boolq, openbookqa, commonsenseqa, ifeval, gsm8k, suite, with commas between; all that there are data for.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Ask only the first so many questions of each of the harness's tasks (of MMLU: each subject)."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="Questions at once.")] = 8,
    out: Annotated[Path | None, typer.Option(help="Write every question's result here, as JSONL.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep it in the manifest of --checkpoint, for the gate.")
    ] = False,
    json: Json = False,
) -> None:
    """MMLU, ARC, HellaSwag, IFEval and others through lm-evaluation-harness, and the general suite."""
    from eval.decoding.evaluation import General
    from eval.decoding.general import check_general, run_general
    from eval.general.benchmarks import NAMES, SUITE
    from eval.general.figures import write_questions
    from eval.judging.paired import with_general
    from taxonomy.checkpoint.manifest import publish, read_manifest

    for name, value in (("limit", limit), ("batch", batch)):
        if value is not None and value < 1:
            raise CallWrong(f"--{name} {value}: at least one question must be asked")
    names = chosen("--tasks", tasks, NAMES) if tasks else ()
    if SUITE in names and not questions:
        raise CallWrong("the task suite needs --questions, a file of them; `route-feedback train suite DIR` writes one")
    asked = General.model_validate(
        {"data": data, "questions": questions, "tasks": names, "limit": limit, "batch": batch}
    )
    check_general(asked)
    manifest = read_manifest(Path(model)) if record else None
    found = run_general(model, asked, say)
    if out:
        write_questions(found.questions, out)
    if manifest:
        publish(Path(model), with_general(manifest, found))
    limited = (
        [f"asked: the first {limit} questions of each of the harness's tasks (of MMLU: each subject)"] if limit else []
    )
    emit(found.scores.as_json(), _table(found.scores), *limited, as_json=json)


def _table(scores: GeneralScores) -> Table:
    rows: list[tuple[str, str, str]] = []
    for benchmark, measured in scores.benchmarks.items():
        figures = measured.figures.items() if measured else [("not scored", "")]
        rows += [(benchmark, name, str(figure)) for name, figure in figures]
    return table(["benchmark", "figure", "share, 95% interval (questions)"], rows)
