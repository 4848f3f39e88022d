"""`route-feedback train ...` and `route-feedback corpus ...`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import chain
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from taxonomy import command_line
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong
from taxonomy.files import write_jsonl, write_text
from taxonomy.formats.registry import load_taxonomy
from train.corpus.generator import SEED, TEST_SIZE, TRAIN_SIZE, Corpus, load_phrasebook
from train.data.convert import convert
from train.loop.session import SAVE_MINUTES
from train.recipe import AnyRecipe, Average, Labelled, Recipe, load_recipe


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    train = rooms.add_parser(
        "train",
        help="make a checkpoint from a recipe",
        epilog="Also: `train bench`, `check`, `convert`, `experiment`, `suite`; each with --help.",
    )
    train.add_argument("recipe", type=Path)
    train.add_argument("--out", type=Path, help="a new or empty directory for the checkpoint")
    train.add_argument(
        "--dry-run", action="store_true", help="print the plan: tokens, steps, mix, memory; train nothing"
    )
    train.add_argument(
        "--resume", action="store_true", help="go on with an unfinished run in --out; one not begun is begun"
    )
    train.add_argument(
        "--save-minutes",
        type=float,
        default=SAVE_MINUTES,
        help=f"of training between two saved states (default: {SAVE_MINUTES:g})",
    )
    train.add_argument(
        "--fingerprint", action="store_true", help="record it at the end, through the serving engine (about a minute)"
    )
    train.add_argument("--json", action="store_true")
    train.set_defaults(run=_train)
    if arguments[:1] == ["train"] and arguments[1:2] and arguments[1] in _TOOLS:
        # No recipe is named like these, so the word can stand where a recipe would.
        tool = argparse.ArgumentParser(prog=f"route-feedback train {arguments[1]}")
        _TOOLS[arguments[1]](tool)
        return command_line.run(tool, arguments[2:])
    _corpus(rooms.add_parser("corpus", help="the bundled corpus"))
    return command_line.run(parser, arguments)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.description = "Labelled comments to conversations, or back; both JSONL."
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_convert)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.description = "Examine labelled comments, chats and plain texts before a training."
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--taxonomy", type=Path, required=True)
    parser.add_argument("--test", type=Path, action="append", default=[], help="a file that must not leak into them")
    parser.add_argument("--general", type=Path, help="a folder with mmlu/ and ifeval/, not to be in the data either")
    parser.add_argument("--skip-invalid", action="store_true", help="go on after a row in error, and count")
    parser.add_argument("--card", type=Path, help="write a data card here (Markdown, and JSON beside it)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_check)


def _add_suite(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write the general suite as chats: train.jsonl and test.jsonl."
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=20_000, help="questions to train on (default: 20000)")
    parser.add_argument("--test", type=int, default=1_100, help="questions to ask (default: 1100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gsm8k", type=Path, help="a folder with GSM8K's train.jsonl and test.jsonl, to be added")
    parser.set_defaults(run=_suite)


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fine-tune one small base by every recipe of docs/experiment.md, ask each both axes, and write table and "
        "picture. Hours on a small machine; what a folder has is kept, and a second call goes on."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arms", nargs="+", help="some of them only, as docs/experiment.md names them (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["voc", "clinc"], help="the bundled corpus, or CLINC150 (default: both)")
    parser.add_argument("--comments", type=int, default=6_000, help="comments that an arm sees (default: 6000)")
    parser.add_argument("--at-once", type=int, default=1, help="trainings at once, each with its part of the cores")
    parser.add_argument("--base", type=Path, help="begin from this one (docs/experiment/base) and make none")
    parser.add_argument("--gsm8k", type=Path, help="a folder with GSM8K's train.jsonl and test.jsonl")
    parser.add_argument("--clinc", type=Path, help="a folder with CLINC150's data_full.json and domains.json")
    parser.set_defaults(run=_experiment)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tokens a second of this trainer beside TRL's SFTTrainer, unpacked and packed: one model, the same rows and "
        "supervised tokens in the same steps, float32, in turn. The recipe: comments alone."
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each training (default: 8)")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--packing", type=int, default=512, help="tokens of a packed sequence of ours (default: 512)")
    parser.add_argument("--systems", nargs="+", help="of trl, trl-packed, own, own-packed (default: all)")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_bench)


_TOOLS = {
    "convert": _add_convert,
    "check": _add_check,
    "suite": _add_suite,
    "experiment": _add_experiment,
    "bench": _add_bench,
}


def _convert(given: argparse.Namespace) -> int:
    kind, rows = convert(given.source, given.target)
    command_line.tell({"rows": rows, "kind": kind}, f"{given.target}: {rows} {kind}", as_json=given.json)
    return 0


def _check(given: argparse.Namespace) -> int:
    from train.data.card import summary, write_card  # noqa: PLC0415 (as above)
    from train.data.check import check  # noqa: PLC0415 (scipy takes a second to import)

    taxonomy = load_taxonomy(given.taxonomy)
    report = check(
        given.data,
        taxonomy,
        test=given.test,
        benchmarks=given.general,
        skip_invalid=given.skip_invalid,
        watch=lambda rows: tqdm(rows, unit=" rows", leave=False),
    )
    if given.card:
        write_card(report, taxonomy, given.data, given.card)
    command_line.tell(report.as_json(taxonomy), summary(report, taxonomy), as_json=given.json)
    return 0


def _suite(given: argparse.Namespace) -> int:
    from eval.general.suite import write_questions  # noqa: PLC0415 (scipy takes a second to import)
    from train.corpus.suite import gsm8k, suite  # noqa: PLC0415 (as above)

    given.folder.mkdir(parents=True, exist_ok=True)
    splits: list[tuple[Literal["train", "test"], int]] = [("train", given.train), ("test", given.test)]
    for split, count in splits:
        worked = gsm8k(given.gsm8k, split) if given.gsm8k else ()
        file = given.folder / f"{split}.jsonl"
        print(f"{file}: {write_questions(chain(suite(split, count, given.seed), worked), file)} questions")
    return 0


def _experiment(given: argparse.Namespace) -> int:
    from train.experiment.arms import ARMS, experiment  # noqa: PLC0415 (scipy takes a second to import)
    from train.experiment.report import write_report  # noqa: PLC0415 (as above)

    arms = given.arms or list(ARMS)
    if unknown := set(arms) - set(ARMS):
        raise CallWrong(f"there is no arm {', '.join(sorted(unknown))}; there are: {'; '.join(ARMS)}")
    results = experiment(
        given.folder,
        _say,
        seeds=given.seeds,
        exposures=given.comments,
        at_once=given.at_once,
        arms=arms,
        only=given.only,
        base=given.base,
        gsm8k_folder=given.gsm8k,
        clinc_folder=given.clinc,
    )
    write_report(results, given.folder)
    print(f"{given.folder / 'experiment.md'}: {len(results)} results")
    return 0


def _bench(given: argparse.Namespace) -> int:
    from train.bench import SYSTEMS, Plan, bench, table  # noqa: PLC0415 (trl takes seconds to import)

    recipe, systems = load_recipe(given.recipe), tuple(given.systems or SYSTEMS)
    if not isinstance(recipe, Recipe):
        raise CallWrong(f"{given.recipe} is no recipe of a fine-tuning")
    if set(systems) - set(SYSTEMS) or min(given.steps, given.rounds, given.packing) < 1:
        raise CallWrong(f"--systems are of {', '.join(SYSTEMS)}; --steps, --rounds and --packing are 1 or more")
    figures = bench(recipe, Plan(given.steps, given.rounds, given.packing, systems), _say)
    if given.out:
        write_text(json.dumps(figures, indent=1) + "\n", given.out)
    command_line.tell(figures, table(figures), as_json=given.json)
    return 0


def _corpus(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", help="write comments of a split as JSONL")
    write.add_argument("split", choices=["train", "test"])
    write.add_argument("file", type=Path)
    write.add_argument("--count", type=int, help=f"default: {TRAIN_SIZE} training, {TEST_SIZE} test comments")
    write.add_argument("--start", type=int, default=0, help="number of the first comment")
    write.add_argument("--seed", type=int, default=SEED)
    write.add_argument("--languages", type=Path, help='write {"id", "group"} of each here, for `eval --groups`')
    write.set_defaults(run=_write)
    card = commands.add_parser("card", help="describe the corpus and measure the baseline (about 5 minutes)")
    card.add_argument("file", type=Path, help="a Markdown file")
    card.set_defaults(run=_card)


def _train(given: argparse.Namespace) -> int:
    recipe = load_recipe(given.recipe)
    if given.dry_run:
        return _plan(recipe, as_json=given.json)
    if given.out is None:
        raise CallWrong("say where the checkpoint goes with --out, or ask for --dry-run")
    from train.loop.processes import joined  # noqa: PLC0415 (torch takes seconds to import)
    from train.run import run  # noqa: PLC0415 (as above)

    manifest = run(recipe, given.out, _say, resume=given.resume, save_minutes=given.save_minutes)
    if not joined().is_main_process:
        return 0
    if given.fingerprint:
        _fingerprint(recipe, given.out)
    else:
        _say(f"before it can be activated: route-feedback checkpoint fingerprint {given.out}")
    text = f"{given.out}: published {manifest.version}"
    command_line.tell({"version": manifest.version, "training": manifest.training}, text, as_json=given.json)
    return 0


def _fingerprint(recipe: AnyRecipe, folder: Path) -> None:
    from serve.commands.checkpoint import fingerprinted  # noqa: PLC0415 (only a fingerprint needs the engine)
    from serve.settings import load_settings  # noqa: PLC0415 (as above)

    corpus = None if isinstance(recipe, Average) else recipe.corpus
    taxonomy = Path(corpus.taxonomy) if isinstance(corpus, Labelled) else None
    found = fingerprinted(folder, load_settings(os.environ, taxonomy=taxonomy))
    _say(f"fingerprint of {len(found.probes)} probes, recorded on {found.recorded_on}")


def _plan(recipe: AnyRecipe, *, as_json: bool) -> int:
    from train import plan  # noqa: PLC0415 (torch takes seconds to import)

    if isinstance(recipe, Average):
        raise CallWrong("an average trains nothing, so there is nothing to plan")
    if not isinstance(recipe, Recipe):
        raise CallWrong("what a reinforcement does depends on the answers it gets, so there is nothing to plan")
    planned = plan.plan(recipe, _say)
    command_line.tell(planned, plan.text(planned), as_json=as_json)
    return 0


def _say(line: str) -> None:
    print(f"== {line}", file=sys.stderr, flush=True)


def _write(given: argparse.Namespace) -> int:
    count = given.count or (TRAIN_SIZE if given.split == "train" else TEST_SIZE)
    corpus = Corpus(load_phrasebook(), given.split, given.seed)
    comments = corpus.comments(count, given.start)
    written = write_comments(tqdm(comments, total=count, unit=" comments", leave=False), given.file)
    if given.languages:
        numbers = range(given.start, given.start + count)
        write_jsonl(({"id": corpus.name(n), "group": corpus.language(n)} for n in numbers), given.languages)
    print(f"{given.file}: {written} comments")
    return 0


def _card(given: argparse.Namespace) -> int:
    from train.corpus.card import card  # noqa: PLC0415 (scikit-learn takes seconds to import)

    write_text(card(), given.file)
    print(f"{given.file}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
