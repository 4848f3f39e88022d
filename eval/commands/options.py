"""Options that commands share, and what is made of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from taxonomy.errors import CallWrong

Gold = Annotated[Path, typer.Option(help="JSONL of labelled comments.")]
Predictions = Annotated[Path, typer.Option("--pred", help="JSONL of predictions or of the service's answers.")]
TaxonomyFile = Annotated[Path, typer.Option("--taxonomy", help="A taxonomy file; the bundled one by default.")]
Train = Annotated[
    Path | None,
    typer.Option(help="JSONL of the training comments: scores by frequency of the leaf.", show_default=False),
]
Groups = Annotated[
    Path | None,
    typer.Option(help='JSONL of {"id", "group"}, such as languages: scores of each group.', show_default=False),
]
Comments = Annotated[Path, typer.Option(help="JSONL of labelled comments.")]
FiguresFile = Annotated[Path | None, typer.Option("--out", help="Write the figures here, as JSON.")]


def chosen(option: str, given: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """What a repeatable option names, which may name several with commas between; all where it is not given.

    Each once, in the order of the known. Raises CallWrong for one that is not known.
    """
    names = known if given is None else separated(given)
    if unknown := [name for name in names if name not in known]:
        raise CallWrong(f"{option}: {unknown[0]!r} is none of {', '.join(known)}")
    return tuple(name for name in known if name in names)


def separated(given: Sequence[str]) -> list[str]:
    """The values of a repeatable option, which may stand with commas between."""
    return [name for each in given for name in each.split(",")]


def say(line: str) -> None:
    """Progress, for a person."""
    print(f"== {line}", file=sys.stderr, flush=True)
