"""`route-feedback train convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taxonomy.command_line import Json, emit
from taxonomy.labels import Emotion


def command(
    source: Annotated[
        Path,
        typer.Argument(
            help="Labelled comments or conversations (JSONL), Label Studio's JSON export, or a table (CSV, TSV, "
            "XLSX) of comments with a label column or L1 to L4."
        ),
    ],
    target: Annotated[Path, typer.Argument(help="Labelled comments; where those are given, conversations. JSONL.")],
    taxonomy: Annotated[
        Path | None, typer.Option(help="Of the labels: each is checked, and a leaf's name alone will do.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="The field or column of the comment, if not comment or text.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column of the label, if its name does not say so.")] = None,
    emotion: Annotated[Emotion, typer.Option(help="Of segments for which none is given.")] = "neutral",
    sheet: Annotated[str | None, typer.Option(help="The workbook's sheet, where several have such columns.")] = None,
    json: Json = False,
) -> None:
    """Label Studio's export or a table to labelled comments; labelled comments to conversations, or back."""
    from taxonomy.formats.registry import load_taxonomy
    from train.data.convert import convert
    from train.data.label_names import LabelNames
    from train.data.label_sources import LabelReading

    names = LabelNames(load_taxonomy(taxonomy) if taxonomy else None)
    converted = convert(source, target, LabelReading(names, text, label, emotion), sheet)
    emit(converted, f"{target}: {converted.rows} {converted.kind}", *converted.notes, as_json=json)
