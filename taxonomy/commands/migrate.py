"""`route-feedback taxonomy migrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Sheet
from taxonomy.comments import read_comments, write_comments
from taxonomy.diff import Diff, diff, migrated
from taxonomy.formats.registry import load_taxonomy, sheet_of
from taxonomy.labels import LabelPath


def command(
    data: Annotated[Path, typer.Argument(help="Labelled comments, JSONL.")],
    old: Annotated[Path, typer.Option("--from", help="The taxonomy that they are labelled with.")],
    new: Annotated[Path, typer.Option("--to", help="The taxonomy that follows it.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    sheet: Sheet = None,
) -> int:
    """Carry labelled comments over to the next taxonomy."""
    target = load_taxonomy(new, sheet_of(new, sheet))
    change = diff(load_taxonomy(old, sheet_of(old, sheet)), target)
    carried, homeless, merged = [], 0, 0
    for comment in read_comments(data):
        moved, lost = migrated(comment, change, target)
        carried.append(moved)
        homeless += len(lost)
        merged += sum(span.path in change.merged for span in comment.segments)
        for path in lost:
            print(f"{data}: {comment.id}: the new taxonomy has no leaf {_homeless(path, change)}", file=sys.stderr)
    if homeless:
        print(f"{homeless} segments need a new label; {out} is not written", file=sys.stderr)
        return 1
    print(f"{out}: {write_comments(carried, out)} comments for {target.version}")
    if merged:
        print(f"{merged} segments have the leaf above their old one, which was merged into it")
    return 0


def _homeless(path: LabelPath, change: Diff) -> str:
    below = change.split.get(path, ())
    choice = ", ".join(" > ".join(leaf) for leaf in below[:3]) + ", ..." * (len(below) > 3)  # noqa: PLR2004 (a line)
    return " > ".join(path) + (f"; it is split, so choose: {choice}" if below else "")
