"""`route-feedback train replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit
from train.commands.progress import progress, say
from train.recipe_parts import Sampling

_USUAL = Sampling()


def command(
    base: Annotated[str, typer.Argument(help="An instruct model: a directory, a GGUF file or a hub id.")],
    out: Annotated[Path, typer.Argument(help="The chats, as JSONL; its card is written beside it.")],
    chats: Annotated[
        int | None, typer.Option(min=1, help="How many chats are to be kept. None: as many as there are prompts.")
    ] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(
            help="What it is asked: chats, or a .txt of lines; may be given several times. None: it asks too."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other chats.")] = 0,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=2,
            help="Of questions, in turn; may be given several times.",
            show_default=", ".join(map(str, _USUAL.temperatures)),
        ),
    ] = None,
    answer_temperature: Annotated[float, typer.Option(min=0, max=2, help="Of answers.")] = _USUAL.answer_temperature,
    top_p: Annotated[float, typer.Option(help="Over 0 and up to 1.")] = _USUAL.top_p,
    question_tokens: Annotated[
        int, typer.Option(min=1, help="A longer question is left out.")
    ] = _USUAL.question_tokens,
    answer_tokens: Annotated[int, typer.Option(min=1, help="A longer answer is left out.")] = _USUAL.answer_tokens,
    batch: Annotated[int, typer.Option(min=1, help="Chats at once.")] = _USUAL.batch,
    test: Annotated[
        list[Path] | None, typer.Option(help="A file of comments not to be in the chats; may be given several times.")
    ] = None,
    general: Annotated[Path | None, typer.Option(help="A folder of general benchmarks, not to be in them.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished file; one not begun is begun.")
    ] = False,
    json: Json = False,
) -> None:
    """General data that a base makes of itself: it asks as a user would, and answers."""
    import os

    from pydantic import ValidationError

    from serve.settings import load_settings
    from taxonomy.errors import CallWrong
    from train.replay.card import summary
    from train.replay.order import Order, write_replay
    from train.replay.starting import starter

    given = {
        "answer_temperature": answer_temperature,
        "top_p": top_p,
        "question_tokens": question_tokens,
        "answer_tokens": answer_tokens,
        "batch": batch,
    }
    try:
        sampling = Sampling.model_validate(given | ({"temperatures": temperature} if temperature else {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise CallWrong(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from error
    order = Order(base, chats, seed, sampling, tuple(prompts or ()), general, tuple(test or ()))
    with progress("chats", chats) as moved:
        card = write_replay(
            order,
            out,
            starter(load_settings(os.environ)),
            resume=resume,
            say=say,
            watch=lambda so_far: moved(so_far.kept, f"{so_far.tried} tried"),
        )
    emit(card, f"{out}: {card.kept} chats", summary(card), as_json=json)
