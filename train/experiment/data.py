"""What an experiment's folder learns from and is asked: the general suite, and the comments of each domain."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Final

from eval.general.suite import read_questions, write_questions
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong
from train.corpus.clinc import write_clinc
from train.corpus.generator import TEST_SIZE, Corpus, load_phrasebook
from train.corpus.suite import gsm8k, suite
from train.experiment.arms import GENERAL, Domain

SUITE_TEST: Final = "suite-test.jsonl"
SUITE_TEST_SIZE: Final = 1_100
GSM8K_TEST: Final = "gsm8k-test.jsonl"
GSM8K_TEST_SIZE: Final = 300
HARD: Final = ("sort", "replace", "arithmetic", "choice", "fact")
"""Kinds of the suite that take a small model longest: the base sees more of them."""
REPLAYED: Final = {"suite": 12_000, "gsm8k": 1_500}
"""Replay is drawn from this many of the questions that the base learned from."""


def write_general(folder: Path, gsm8k_folder: Path | None, say: Callable[[str], None]) -> None:
    """The suite's splits, GSM8K's, and what replay is drawn from; nothing where they are there already."""
    if (folder / GENERAL).is_file():
        return
    say("writing the general suite")
    write_questions(suite("train", 60_000, 0), folder / "suite-train.jsonl")
    write_questions(suite("train", 150_000, 1, HARD), folder / "hard-train.jsonl")
    write_questions(suite("test", SUITE_TEST_SIZE, 0), folder / SUITE_TEST)
    if gsm8k_folder:
        write_questions(gsm8k(gsm8k_folder, "train"), folder / "gsm8k-train.jsonl")
        write_questions(islice(gsm8k(gsm8k_folder, "test"), GSM8K_TEST_SIZE), folder / GSM8K_TEST)
    kept = [islice(read_questions(folder / f"{name}-train.jsonl"), count) for name, count in REPLAYED.items()]
    write_questions(chain.from_iterable(kept[: 1 + (gsm8k_folder is not None)]), folder / GENERAL)


def bundled_domain(folder: Path, exposures: int) -> Domain:
    """The bundled corpus, so many comments of it. Raises CallWrong where the folder has another number."""
    train, test = folder / "voc-train.jsonl", folder / "voc-test.jsonl"
    if not test.is_file():
        book = load_phrasebook()
        write_comments(Corpus(book, "train").comments(exposures), train)
        write_comments(Corpus(book, "test").comments(TEST_SIZE), test)
    with train.open("rb") as lines:
        if (has := sum(1 for _ in lines)) != exposures:
            raise CallWrong(f"{folder} is an experiment of {has} comments, not of {exposures}; give another folder")
    # So many leaves take more steps than comments of 16 a step can be paid for.
    return Domain("voc", BUNDLED_TAXONOMY, train, test, exposures, 4)


def clinc_domain(folder: Path, source: Path) -> Domain:
    """CLINC150, from the folder `source`. Raises DataInvalid, OSError."""
    taxonomy, train, test = folder / "clinc.yaml", folder / "clinc-train.jsonl", folder / "clinc-test.jsonl"
    if not test.is_file():
        write_clinc(source, taxonomy, train, test)
    return Domain("clinc", taxonomy, train, test, 15_000, 16)
