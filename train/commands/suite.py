"""`route-feedback train suite`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="Where train.jsonl and test.jsonl are written.")],
    train: Annotated[int, typer.Option(help="Questions to train on.")] = 20_000,
    test: Annotated[int, typer.Option(help="Questions to ask.")] = 1_100,
    seed: Annotated[int, typer.Option(help="Another seed, other questions.")] = 0,
    gsm8k: Annotated[
        Path | None, typer.Option(help="A folder with GSM8K's train.jsonl and test.jsonl, to be added.")
    ] = None,
) -> None:
    """Write the general suite as chats: train.jsonl and test.jsonl."""
    from eval.general.suite import write_questions
    from train.corpus.suite import gsm8k as worked_problems
    from train.corpus.suite import suite

    folder.mkdir(parents=True, exist_ok=True)
    splits: list[tuple[Literal["train", "test"], int]] = [("train", train), ("test", test)]
    for split, count in splits:
        worked = worked_problems(gsm8k, split) if gsm8k else ()
        file = folder / f"{split}.jsonl"
        print(f"{file}: {write_questions(chain(suite(split, count, seed), worked), file)} questions")
