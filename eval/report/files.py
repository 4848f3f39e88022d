"""A report's files: one self-contained HTML file, and the same in Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic_core import to_jsonable_python

from eval.report.report import WRONG, Report, SideReport
from taxonomy.files import write_text

TEMPLATES: Final = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A label and each side's figure, None where it was not scored."""

    label: str
    figures: list[float | None]


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": rendered("report.html", report),
        "report.md": rendered("report.md", report),
        "report.json": json.dumps(to_jsonable_python(report), indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        write_text(text, folder / name)
    return [folder / name for name in texts]


def rendered(template: str, report: Report) -> str:
    """The report by one of the templates."""
    segments = report.sides[0].scores["segments"]["gold"]
    shares = [ChartRow(row.what, [row.segments / (segments or 1)]) for row in report.tree]
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    return page(template, values | {"chart": chart, "tree_chart": shares, "wrong": WRONG})


def page(template: str, values: Mapping[str, object], *folders: Path) -> str:
    """A template of these folders or of ours, filled in. What customers wrote is text there, never markup."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"figure": _figure, "signed": _signed, "cell": _cell}
    return environment.get_template(template).render(values)


def chart(sides: Sequence[SideReport], figure: str, *part: str) -> list[ChartRow]:
    """One row for each name in a part of the scores, with each side's figure; gold segments stand in the label."""
    parts: list[Any] = [reduce(lambda found, key: found[key], part, side.scores) for side in sides]
    return [
        ChartRow(
            f"{name} ({row['segments']})" if "segments" in row else name,
            [own[name][figure] if name in own else None for own in parts],
        )
        for name, row in parts[0].items()
    ]


def _figure(value: float | None, digits: int = 4) -> str:
    return "not scored" if value is None else f"{value:.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def _cell(text: str) -> str:
    """A customer's text inside a Markdown table: on one line, its marks as they stand."""
    return " ".join("".join(f"\\{c}" if c in "\\`*_[]<>|#&" else c for c in text).split())
