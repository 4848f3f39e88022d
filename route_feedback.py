"""The `route-feedback` command: one tree of all commands. A command's module is imported when it is called."""

from __future__ import annotations

import sys
from typing import Final

from taxonomy.command_line import Command, Group, run

TAXONOMY: Final = Group(
    "Taxonomy files: YAML, CSV, XLSX, JSON.",
    {
        "validate": Command("taxonomy.commands.validate", "Name every fault of a taxonomy file."),
        "stats": Command("taxonomy.commands.stats", "Count its labels, teams and workflows."),
        "convert": Command("taxonomy.commands.convert", "Write it in another format, by the endings."),
        "diff": Command("taxonomy.commands.diff", "What changed from one taxonomy to the next."),
        "migrate": Command("taxonomy.commands.migrate", "Carry labelled comments over to the next taxonomy."),
    },
)
CHECKPOINT: Final = Group(
    "Checkpoints, and the registry of those that may serve.",
    {
        "verify": Command("serve.commands.checkpoint.verify", "Every file is there and as it was published."),
        "fingerprint": Command("serve.commands.checkpoint.fingerprint", "Record what the engine decides with it."),
        "adapt": Command("serve.commands.checkpoint.adapt", "Make a checkpoint of an adapter in PEFT's format."),
        "add": Command("serve.commands.checkpoint.add", "Copy a checkpoint into the registry."),
        "list": Command("serve.commands.checkpoint.list", "Every checkpoint, its state and its taxonomy."),
        "show": Command("serve.commands.checkpoint.show", "One checkpoint, and what was done with it."),
        "activate": Command(
            "serve.commands.checkpoint.activate", "Have a checkpoint serve, instead of the active one."
        ),
        "rollback": Command("serve.commands.checkpoint.rollback", "Go back to the one that served before."),
        "canary": Command("serve.commands.checkpoint.canary", "Try a checkpoint on a share of the requests."),
        "shadow": Command("serve.commands.checkpoint.shadow", "Try a checkpoint on copies of a share of the requests."),
        "promote": Command("serve.commands.checkpoint.promote", "Make the checkpoint on trial the active one."),
        "stop": Command("serve.commands.checkpoint.stop", "End a trial."),
        "trial": Command("serve.commands.checkpoint.trial", "What the trial has shown so far."),
        "trials": Command("serve.commands.checkpoint.trials", "Trials that have ended, with their evidence."),
    },
)
TRAIN: Final = Group(
    "Make a checkpoint from a recipe: train RECIPE.yaml --out DIR.",
    {
        "RECIPE": Command("train.commands.train", "One run, from a recipe to a checkpoint (train RECIPE --help)."),
        "check": Command("train.commands.check", "Examine data before a training."),
        "convert": Command("train.commands.convert", "Labelled comments to conversations, or back."),
        "replay": Command("train.commands.replay", "General data that a base makes of itself."),
        "suite": Command("train.commands.suite", "Write the general suite as chats."),
        "experiment": Command("train.commands.experiment", "Every recipe of the experiment from one base."),
        "corner": Command("train.commands.corner", "A study's corner on a pretrained base: learn, and keep all."),
        "bench": Command("train.commands.bench", "Tokens a second beside TRL's trainer."),
    },
    default="RECIPE",
)
CORPUS: Final = Group(
    "The bundled corpus.",
    {
        "write": Command("train.commands.corpus_write", "Write comments of a split as JSONL."),
        "card": Command("train.commands.corpus_card", "Describe the corpus and measure the baseline."),
    },
)
EVAL: Final = Group(
    "Judge predictions and checkpoints.",
    {
        "run": Command("eval.commands.run", "All of it: decode, calibrate, score, compare, report."),
        "voc": Command("eval.commands.voc", "Scores of a predictions file."),
        "seed-compat": Command("eval.commands.seed_compat", "The study's own scores, for comparison with its table."),
        "compare": Command("eval.commands.compare", "Two sets of predictions: the difference and its bounds."),
        "calibrate": Command("eval.commands.calibrate", "How far the probabilities can be trusted; when to review."),
        "gate": Command("eval.commands.gate", "Whether a checkpoint may serve, and why."),
        "report": Command("eval.commands.report", "One HTML file of all of it, and the same in Markdown and JSON."),
        "drift": Command("eval.commands.drift", "What has changed in production traffic, without gold."),
        "general": Command("eval.commands.general", "MMLU, ARC, HellaSwag, IFEval and so on, by the harness."),
        "served": Command("eval.commands.served", "Gold comments through a running service."),
    },
)
BENCH: Final = Group(
    "How fast, beside vLLM as it comes.",
    {
        "speed": Command("eval.commands.bench.speed", "Answers a second of five systems, side by side in one run."),
        "constraint": Command("eval.commands.bench.constraint", "Compile and decision times, and how they grow."),
        "forms": Command("eval.commands.bench.forms", "What an answer costs in each form, in tokens and in time."),
        "scores": Command("eval.commands.bench.scores", "Scoring alone, beside a plain loop."),
        "swap": Command("eval.commands.bench.swap", "One checkpoint for another under load."),
        "observing": Command("eval.commands.bench.observing", "Throughput with metrics and traces, and without."),
    },
)
TREE: Final = Group(
    "Customer comments in, routed work out.",
    {
        "serve": Command("serve.commands.serve", "The service over HTTP."),
        "route": Command("serve.commands.route", "Route a comment or a file, here or by asking a running service."),
        "taxonomy": TAXONOMY,
        "checkpoint": CHECKPOINT,
        "train": TRAIN,
        "corpus": CORPUS,
        "eval": EVAL,
        "bench": BENCH,
    },
)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 (done), 1 (the work failed) or 2 (the call is wrong)."""
    return run(TREE, arguments)


if __name__ == "__main__":
    sys.exit(main())
