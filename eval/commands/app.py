"""`route-feedback eval ...` and `route-feedback bench ...`."""

from __future__ import annotations

import argparse
import sys

from eval.commands.general import add_general
from eval.commands.voc import add_seed_compat, add_voc
from eval.decoding.run import add_run
from eval.decoding.served import add_served
from eval.judging.calibrate import add_calibrate
from eval.judging.compare import add_compare
from eval.judging.drift import add_drift
from eval.judging.gate import add_gate
from eval.report.files import add_report
from taxonomy import command_line

COMMANDS = {
    "run": (add_run, "all of it: decode, calibrate, score, compare, report"),
    "voc": (add_voc, "scores of a predictions file"),
    "seed-compat": (add_seed_compat, "the study's own scores, for comparison with its table"),
    "compare": (add_compare, "two sets of predictions: the difference, its bounds, and what the sample could show"),
    "calibrate": (add_calibrate, "how far the probabilities can be trusted, and the threshold for review"),
    "gate": (add_gate, "whether a checkpoint may serve, and why"),
    "report": (add_report, "one HTML file of all of it, and the same in Markdown and JSON"),
    "drift": (add_drift, "what has changed in production traffic, without gold"),
    "general": (add_general, "MMLU, IFEval and GSM8K through lm-evaluation-harness"),
    "served": (add_served, "gold comments through a running service: scores and violations"),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    bench = rooms.add_parser("bench", help="how fast, beside vLLM as it comes")
    if arguments[:1] == ["bench"]:
        from eval.commands.bench import add_bench  # noqa: PLC0415 (its systems take seconds to import)

        add_bench(bench)
    commands = rooms.add_parser("eval", help="scores").add_subparsers(required=True)
    for name, (add, what) in COMMANDS.items():
        add(commands.add_parser(name, help=what))
    return command_line.run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
