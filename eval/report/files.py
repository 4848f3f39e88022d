"""`eval report`: one self-contained HTML file, and the same in Markdown and JSON."""

from __future__ import annotations

import argparse
import json
from functools import reduce
from pathlib import Path
from typing import Any

from eval.commands.voc import files, frequencies, read_groups
from eval.scoring.predictions import read_gold, read_predictions
from taxonomy import command_line
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from taxonomy.formats.registry import load_taxonomy

TEMPLATES = Path(__file__).parent / "data"


def add_report(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval report`."""
    files(parser)
    parser.add_argument("--baseline-pred", type=Path, help="predictions of another checkpoint, to stand beside")
    parser.add_argument("--checkpoint", type=Path, help="its directory: general scores, the gate's decision")
    parser.add_argument("--baseline", type=Path, help="the other checkpoint's directory")
    parser.add_argument("--train", type=Path, help="JSONL of the training comments: scores by frequency of the leaf")
    parser.add_argument("--groups", type=Path, help='JSONL of {"id", "group"}: scores of each group')
    parser.add_argument("--out", type=Path, required=True, help="a folder for report.html, report.md, report.json")
    parser.set_defaults(run=_report)


def _report(given: argparse.Namespace) -> int:
    from eval.report.report import Side, report  # noqa: PLC0415 (scikit-learn takes seconds to import)

    if given.baseline and not given.baseline_pred:
        raise CallWrong("--baseline is a checkpoint's directory; give its predictions too, with --baseline-pred")
    gold, taxonomy = read_gold(given.gold), load_taxonomy(given.taxonomy)
    sides = [
        Side(name, read_predictions(file, gold, taxonomy), read_manifest(folder) if folder else None)
        for name, file, folder in [
            ("candidate", given.pred, given.checkpoint),
            ("baseline", given.baseline_pred, given.baseline),
        ]
        if file
    ]
    seen = frequencies(given.train) if given.train else None
    value = report(gold, sides, taxonomy, seen, read_groups(given.groups, gold) if given.groups else None)
    written = write_report(value, given.out)
    command_line.tell({"files": [str(file) for file in written]}, "\n".join(map(str, written)), as_json=given.json)
    return 0


def write_report(value: dict[str, Any], folder: Path) -> list[Path]:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": rendered("report.html", value),
        "report.md": rendered("report.md", value),
        "report.json": json.dumps(value, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        write_text(text, folder / name)
    return [folder / name for name in texts]


def rendered(template: str, value: dict[str, Any]) -> str:
    """The report by one of the templates."""
    segments = value["sides"][0]["scores"]["segments"]["gold"]
    shares = [{"label": row["what"], "figures": [row["segments"] / (segments or 1)]} for row in value["tree"]]
    return page(template, value | {"chart": chart, "tree_chart": shares})


def page(template: str, value: dict[str, Any], *folders: Path) -> str:
    """A template of these folders or of ours, filled in. What customers wrote is text there, never markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 (only a report needs it)

    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"figure": _figure, "signed": _signed, "cell": _cell}
    return environment.get_template(template).render(value)


def chart(sides: list[dict[str, Any]], figure: str, *part: str) -> list[dict[str, Any]]:
    """One row for each name in a part of the scores, with each side's figure; gold segments stand in the label."""
    parts = [reduce(lambda found, key: found[key], part, side["scores"]) for side in sides]
    return [
        {
            "label": f"{name} ({row['segments']})" if "segments" in row else name,
            "figures": [own[name][figure] if name in own else None for own in parts],
        }
        for name, row in parts[0].items()
    ]


def _figure(value: float | None, digits: int = 4) -> str:
    return "not scored" if value is None else f"{value:.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def _cell(text: str) -> str:
    """A customer's text inside a Markdown table: on one line, its marks as they stand."""
    return " ".join("".join(f"\\{c}" if c in "\\`*_[]<>|#&" else c for c in text).split())
