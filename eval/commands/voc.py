"""`eval voc` and `eval seed-compat`: scores of a predictions file."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.scoring.predictions import Faults, Row, read_gold, read_predictions, read_rows, told, uncollected
from taxonomy import command_line
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.files import numbered
from taxonomy.formats.registry import load_taxonomy
from taxonomy.labels import LabelPath

if TYPE_CHECKING:
    from eval.scoring.scores import Rates, Scores
    from eval.scoring.tally import Tally


def add_voc(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval voc`."""
    files(parser)
    parser.add_argument("--train", type=Path, help="JSONL of the training comments: scores by frequency of the leaf")
    parser.add_argument("--groups", type=Path, help='JSONL of {"id", "group"}, such as languages: scores of each')
    parser.set_defaults(run=_voc)


def add_seed_compat(parser: argparse.ArgumentParser) -> None:
    """The arguments of `eval seed-compat`."""
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--pred", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_seed_compat)


def files(parser: argparse.ArgumentParser) -> None:
    """The arguments that every command over predictions takes."""
    parser.add_argument("--gold", type=Path, required=True, help="JSONL of labelled comments")
    parser.add_argument("--pred", type=Path, required=True, help="JSONL of predictions or of the service's answers")
    parser.add_argument("--taxonomy", type=Path, default=BUNDLED_TAXONOMY, help="default: the bundled one")
    parser.add_argument("--json", action="store_true")


def _voc(given: argparse.Namespace) -> int:
    from eval.scoring.scores import score  # noqa: PLC0415 (scikit-learn takes seconds to import)

    taxonomy, gold = load_taxonomy(given.taxonomy), read_gold(given.gold)
    predictions, faults = read_predictions(given.pred, gold, taxonomy)
    seen = frequencies(given.train) if given.train else None
    groups = read_groups(given.groups, gold) if given.groups else None
    scores = score(gold, predictions, taxonomy, seen, groups)
    value = scores.as_json() | {"comments": len(gold), "taxonomy": taxonomy.version, "input": counted(faults)}
    command_line.tell(value, "\n".join([*table(scores), *told(faults)]), as_json=given.json)
    return 0


def _seed_compat(given: argparse.Namespace) -> int:
    from eval.scoring.seed_compat import seed_compat  # noqa: PLC0415 (scikit-learn takes seconds to import)

    with uncollected():
        gold, predicted = list(read_rows(given.gold)), list(read_rows(given.pred))
    faults = _unmatched(given.gold, gold, predicted)
    first = {row.id: row.segments for row in reversed(predicted)}
    scores = seed_compat({row.id: row.segments for row in gold}, first)
    for line in told(faults):
        print(f"eval seed-compat: {line}", file=sys.stderr)
    lines = [f"{name}  {_figures(*figures.values())}" for name, figures in scores.items()]
    command_line.tell(scores, "\n".join([f"{'':<4}{_head()}", *lines]), as_json=given.json)
    return 0


def _unmatched(file: Path, gold: Sequence[Row], predicted: Sequence[Row]) -> Faults:
    wanted, found = (Counter(row.id for row in rows) for rows in (gold, predicted))
    if not wanted or max(wanted.values()) > 1:
        raise DataInvalid(
            f"{file}: " + (f"the id {wanted.most_common(1)[0][0]!r} stands twice" if wanted else "no comments")
        )
    faults = {
        "missing": [id_ for id_ in wanted if id_ not in found],
        "extra": [id_ for id_ in found if id_ not in wanted],
        "repeated": [id_ for id_, count in found.items() for _ in range(count - 1)],
    }
    return {kind: names for kind, names in faults.items() if names}


def frequencies(file: Path) -> Counter[LabelPath]:
    """How many segments each leaf has in a file of labelled comments."""
    return Counter(segment.path for comment in read_comments(file) for segment in comment.segments)


def read_groups(file: Path, gold: Sequence[LabelledComment]) -> dict[str, str]:
    """The group of each gold comment. Raises DataInvalid for a bad line or a comment without a group."""
    groups: dict[str, str] = {}
    for number, line in numbered(file):
        try:
            row: dict[str, Any] = json.loads(line)
            id_, group = row["id"], row["group"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataInvalid(f'{file}:{number}: not an object with "id" and "group"') from error
        if not isinstance(id_, str) or not isinstance(group, str) or groups.setdefault(id_, group) != group:
            raise DataInvalid(f"{file}:{number}: id and group are to be text, and each id has one group")
    if lacking := [comment.id for comment in gold if comment.id not in groups]:
        raise DataInvalid(f"{file}: {len(lacking)} comments of the gold have no group, first {lacking[0]!r}")
    return groups


def counted(faults: Faults) -> dict[str, Any]:
    """Faults as JSON: how many of each kind, and which."""
    return {kind: {"count": len(names), "names": names} for kind, names in faults.items()}


def table(scores: Scores) -> list[str]:
    """The main figures for a person."""
    rows: dict[str, Rates | Tally] = {
        **scores.levels,
        "macro": scores.macro,
        "weighted": scores.weighted,
        "hierarchical": scores.hierarchical,
        "label set": scores.label_set,
        "span, strict": scores.span_strict,
        "span, partial": scores.span,
        **{f"{name} in training": tally for name, tally in (scores.tail or {}).items()},
        **{f"group {name}": tally for name, tally in (scores.groups or {}).items()},
    }
    width = max(map(len, rows)) + 2
    lines = [f"{'':<{width}}{_head()}"]
    lines += [f"{name:<{width}}{_figures(row.precision, row.recall, row.f1)}" for name, row in rows.items()]
    if scores.leaf_interval:
        lines.append("leaf F1, 95% bootstrap over comments: {:.4f} to {:.4f}".format(*scores.leaf_interval))
    singles = {
        "coverage": scores.coverage,
        "verbatim": scores.verbatim,
        "emotion macro-F1": scores.emotion_macro_f1,
        "depth of the common ancestor": scores.lca_depth,
    } | {f"routed to {name}": tally.recall for name, tally in (scores.teams or {}).items()}
    return [*lines, *(f"{name}: {_figure(value)}" for name, value in singles.items())]


def _head() -> str:
    return f"{'P':>9}{'R':>9}{'F1':>9}"


def _figures(*figures: float | None) -> str:
    return "".join(f"{_figure(figure):>9}" for figure in figures)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
