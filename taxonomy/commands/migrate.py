"""`route-feedback taxonomy migrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from taxonomy.comments import read_comments, write_comments
from taxonomy.diff import diff, migrated
from taxonomy.formats.registry import load_taxonomy


def command(
    data: Annotated[Path, typer.Argument(help="Labelled comments, JSONL.")],
    old: Annotated[Path, typer.Option("--from", help="The taxonomy that they are labelled with.")],
    new: Annotated[Path, typer.Option("--to", help="The taxonomy that follows it.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> int:
    """Carry labelled comments over to the next taxonomy."""
    target = load_taxonomy(new)
    change = diff(load_taxonomy(old), target)
    carried, homeless = [], 0
    for comment in read_comments(data):
        moved, lost = migrated(comment, change, target)
        carried.append(moved)
        homeless += len(lost)
        for path in lost:
            print(f"{data}: {comment.id}: the new taxonomy has no {' > '.join(path)}", file=sys.stderr)
    if homeless:
        print(f"{homeless} segments need a new label; {out} is not written", file=sys.stderr)
        return 1
    print(f"{out}: {write_comments(carried, out)} comments for {target.version}")
    return 0
