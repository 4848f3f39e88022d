"""`route-feedback eval ...`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path as FilePath

from eval.bench import add_bench
from eval.general_commands import add_general
from eval.scores import Scores, score
from eval.served import serve_gold
from taxonomy import program
from taxonomy.checkpoint import publish, read_manifest
from taxonomy.comments import LabelledComment, read_comments, write_comments
from taxonomy.errors import DataInvalid


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    add_bench(rooms.add_parser("bench", help="how fast, beside vLLM as it comes"))
    commands = rooms.add_parser("eval", help="scores").add_subparsers(required=True)
    voc = commands.add_parser("voc", help="scores of a predictions file")
    voc.add_argument("--gold", type=FilePath, required=True)
    voc.add_argument("--pred", type=FilePath, required=True)
    voc.add_argument("--json", action="store_true")
    voc.set_defaults(run=_voc)
    served = commands.add_parser("served", help="gold comments through a running service: scores and violations")
    served.add_argument("--gold", type=FilePath, required=True)
    served.add_argument("--url", default="http://127.0.0.1:8000")
    served.add_argument("--out", type=FilePath, help="write the predictions here")
    served.add_argument("--at-once", type=int, default=32)
    served.add_argument("--record", type=FilePath, help="the checkpoint directory whose manifest keeps the scores")
    served.add_argument("--json", action="store_true")
    served.set_defaults(run=_served)
    add_general(commands)
    return program.run(parser, arguments)


def _voc(given: argparse.Namespace) -> int:
    gold = list(read_comments(given.gold))
    scores = score(gold, _in_order(gold, given.pred))
    program.tell(scores.as_json(), _table(scores), as_json=given.json)
    return 0


def _served(given: argparse.Namespace) -> int:
    gold = list(read_comments(given.gold))
    served = asyncio.run(serve_gold(gold, given.url, given.at_once))
    if given.out:
        write_comments(served.predictions, given.out)
    scores = score(gold, served.predictions)
    seconds = round(served.seconds, 1)
    value = scores.as_json() | {"comments": len(gold), "violations": served.violations, "seconds": seconds}
    if given.record:
        manifest = read_manifest(given.record)
        publish(given.record, manifest.model_copy(update={"scores": {given.gold.stem: value}}))
    summary = f"{len(gold)} comments in {seconds} s, {len(served.violations)} violations"
    program.tell(value, "\n".join([_table(scores), summary, *served.violations]), as_json=given.json)
    return 1 if served.violations else 0


def _table(scores: Scores) -> str:
    lines = [f"{'':<6}{'P':>9}{'R':>9}{'F1':>9}"]
    for name, tally in [*scores.levels.items(), ("span", scores.span)]:
        figures = [tally.precision, tally.recall, tally.f1]
        lines.append(f"{name:<6}" + "".join(f"{'-' if f is None else format(f, '.4f'):>9}" for f in figures))
    low, high = scores.leaf_interval
    return "\n".join([*lines, f"leaf F1, 95% bootstrap over comments: {low:.4f} to {high:.4f}"])


def _in_order(gold: list[LabelledComment], file: FilePath) -> list[LabelledComment]:
    """Predictions in the gold's order. Raises DataInvalid naming what is missing, extra or repeated."""
    found: dict[str, LabelledComment] = {}
    for prediction in read_comments(file):
        if prediction.id in found:
            raise DataInvalid(f"{file}: id {prediction.id!r} stands twice")
        found[prediction.id] = prediction
    wanted = [comment.id for comment in gold]
    if missing := [id_ for id_ in wanted if id_ not in found]:
        raise DataInvalid(f"{file}: {len(missing)} predictions are missing, first {missing[0]!r}")
    if extra := sorted(found.keys() - set(wanted)):
        raise DataInvalid(f"{file}: {len(extra)} predictions have no gold, first {extra[0]!r}")
    return [found[id_] for id_ in wanted]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
