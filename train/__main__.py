"""`route-feedback train ...` and `route-feedback corpus ...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path as FilePath

from tqdm import tqdm

from taxonomy import program
from taxonomy.comments import write_comments
from train.convert import convert
from train.corpus import SEED, TEST_SIZE, TRAIN_SIZE, Corpus, load_phrasebook
from train.recipe import load_recipe


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    train = rooms.add_parser(
        "train",
        help="make a checkpoint from a recipe",
        epilog="`train convert SOURCE TARGET`: labelled comments to conversations, or back.",
    )
    train.add_argument("recipe", type=FilePath)
    train.add_argument("--out", type=FilePath, required=True, help="a new or empty directory")
    train.add_argument("--json", action="store_true")
    train.set_defaults(run=_train)
    if arguments[:2] == ["train", "convert"]:
        # A recipe is not named "convert", so the word can stand where a recipe would.
        return program.run(_convert_parser(), arguments[2:])
    _corpus(rooms.add_parser("corpus", help="the bundled corpus"))
    return program.run(parser, arguments)


def _convert_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="route-feedback train convert", description="Labelled comments to conversations, or back; both JSONL."
    )
    parser.add_argument("source", type=FilePath)
    parser.add_argument("target", type=FilePath)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_convert)
    return parser


def _convert(given: argparse.Namespace) -> int:
    kind, rows = convert(given.source, given.target)
    program.tell({"rows": rows, "kind": kind}, f"{given.target}: {rows} {kind}", as_json=given.json)
    return 0


def _corpus(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", help="write comments of a split as JSONL")
    write.add_argument("split", choices=["train", "test"])
    write.add_argument("file", type=FilePath)
    write.add_argument("--count", type=int, help=f"default: {TRAIN_SIZE} training, {TEST_SIZE} test comments")
    write.add_argument("--start", type=int, default=0, help="number of the first comment")
    write.add_argument("--seed", type=int, default=SEED)
    write.set_defaults(run=_write)
    card = commands.add_parser("card", help="describe the corpus and measure the baseline (about 5 minutes)")
    card.add_argument("file", type=FilePath, help="a Markdown file")
    card.set_defaults(run=_card)


def _train(given: argparse.Namespace) -> int:
    from train.run import run  # noqa: PLC0415 (torch takes seconds to import)

    manifest = run(load_recipe(given.recipe), given.out, lambda line: print(f"== {line}", file=sys.stderr, flush=True))
    text = f"{given.out}: published {manifest.version} after {manifest.training['seconds']} s of training"
    program.tell({"version": manifest.version, "training": manifest.training}, text, as_json=given.json)
    return 0


def _write(given: argparse.Namespace) -> int:
    count = given.count or (TRAIN_SIZE if given.split == "train" else TEST_SIZE)
    comments = Corpus(load_phrasebook(), given.split, given.seed).comments(count, given.start)
    written = write_comments(tqdm(comments, total=count, unit=" comments", leave=False), given.file)
    print(f"{given.file}: {written} comments")
    return 0


def _card(given: argparse.Namespace) -> int:
    from train.card import card  # noqa: PLC0415 (scikit-learn takes seconds to import)

    given.file.write_text(card(), encoding="utf-8")
    print(f"{given.file}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
