"""`route-feedback corpus write`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from train.corpus.generator import DATA, SEED, TEST_SIZE, TRAIN_SIZE, Corpus, load_phrasebook


def command(
    split: Annotated[Literal["train", "test"], typer.Argument(help="Its phrasings are in no other split.")],
    file: Annotated[Path, typer.Argument(help="A JSONL file.")],
    count: Annotated[
        int | None,
        typer.Option(
            show_default=f"{TRAIN_SIZE} training, {TEST_SIZE} test comments",
            help="How many comments.",
        ),
    ] = None,
    start: Annotated[int, typer.Option(help="Number of the first comment.")] = 0,
    seed: Annotated[int, typer.Option(help="Another seed, other comments.")] = SEED,
    phrasings: Annotated[
        Path,
        typer.Option(
            show_default="the bundled corpus's", help="A folder with phrasebook.jsonl and frames.yaml.", exists=True
        ),
    ] = DATA,
    languages: Annotated[
        Path | None, typer.Option(help='Write {"id", "group"} of each here, for `eval --groups`.')
    ] = None,
) -> None:
    """Write comments of a split as JSONL."""
    from tqdm import tqdm

    from taxonomy.comments import write_comments
    from taxonomy.files import write_jsonl

    number = count or (TRAIN_SIZE if split == "train" else TEST_SIZE)
    corpus = Corpus(load_phrasebook(phrasings), split, seed)
    written = write_comments(tqdm(corpus.comments(number, start), total=number, unit=" comments", leave=False), file)
    if languages:
        numbers = range(start, start + number)
        write_jsonl(({"id": corpus.name(n), "group": corpus.language(n)} for n in numbers), languages)
    print(f"{file}: {written} comments")
