"""`route-feedback eval compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.options import Gold, TaxonomyFile
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit

if TYPE_CHECKING:
    from eval.judging.compare import Comparison


def command(
    gold: Gold,
    candidate: Annotated[Path, typer.Option(help="JSONL of its predictions.")],
    baseline: Annotated[Path, typer.Option(help="JSONL of its predictions.")],
    taxonomy: TaxonomyFile = BUNDLED_TAXONOMY,
    json: Json = False,
) -> None:
    """Two sets of predictions of the same comments: the difference, its bounds, and what the sample could show."""
    from eval.judging.compare import compare
    from eval.scoring.predictions import described, read_gold, read_predictions
    from taxonomy.formats.registry import load_taxonomy

    comments, tree = read_gold(gold), load_taxonomy(taxonomy)
    one, other = (read_predictions(file, comments, tree) for file in (candidate, baseline))
    found = compare(comments, one.predictions, other.predictions)
    sides = {"candidate": one.faults, "baseline": other.faults}
    faults = [f"{name}: {line}" for name, side in sides.items() for line in described(side)]
    value = {"comments": found.comments, "leaf_f1": found.leaf_f1, "mcnemar": found.mcnemar, "input": faults}
    emit(value, *_lines(found), *faults, as_json=json)


def _lines(found: Comparison) -> list[str]:
    f1 = found.leaf_f1
    tests = {"gold segments": found.mcnemar.segments, "whole comments": found.mcnemar.comments}
    return [
        f"leaf F1: candidate {f1.candidate:.4f}, baseline {f1.baseline:.4f}, difference {f1.difference:+.4f}",
        "95% of paired bootstrap draws over {} comments: {:+.4f} to {:+.4f}".format(found.comments, *f1.difference_95),
        f"one-sided 95% bounds: not below {f1.lower_95:+.4f}, not above {f1.upper_95:+.4f}",
        f"a sample like this one shows differences from {f1.minimum_detectable:.4f} up",
        *(
            f"McNemar over {name}: only the candidate {test.only_candidate}, only the baseline {test.only_baseline}, "
            + ("no difference" if test.p is None else f"p {test.p:.4f}")
            for name, test in tests.items()
        ),
    ]
