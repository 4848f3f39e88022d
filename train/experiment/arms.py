"""The experiment: which recipe learns the customers' task and forgets nothing. Small, real trainings from one base.

A base is made from scratch on the general suite (and GSM8K, where it is given). From it every arm is trained with every
seed, on the bundled corpus and, where it is given, on CLINC150. Each is asked the domain's test split and the suite's.
What is done stays done: results.jsonl gains a line a run, and a second call does what is missing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from eval.general.suite import read_questions, write_questions
from serve.engine.orphans import end_with_parent
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.manifest import MANIFEST, read_manifest, verify
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong
from taxonomy.files import write_jsonl
from train.corpus.clinc import write_clinc
from train.corpus.generator import TEST_SIZE, Corpus, load_phrasebook
from train.corpus.suite import gsm8k, suite
from train.recipe import Loss, Recipe, load_recipe

Say = Callable[[str], None]
BASE_RECIPE: Final = Path(__file__).parents[1] / "recipes" / "experiment-base.yaml"
ARM_RECIPE: Final = Path(__file__).parents[1] / "recipes" / "experiment-arm.yaml"
SUITE_TEST: Final = 1_100
ROWS_REPLAY: Final = 0.25
"""The study's mix: three quarters of the rows are comments, one quarter is general."""
SHARE_REPLAY: Final = 0.1
MORE_REPLAY: Final = 0.4
"""Of a loss at decisions only: about as many tokens of replay as SHARE_REPLAY is where every token is learned."""
HARD: Final = ("sort", "replace", "arithmetic", "choice", "fact")
"""Kinds of the suite that take a small model longest: the base sees more of them."""
BASE_SHARES: Final = {"suite": 0.31, "hard": 0.53, "gsm8k": 0.16}
"""Of the base's supervised tokens."""
REPLAYED: Final = {"suite": 12_000, "gsm8k": 1_500}
"""Replay is drawn from this many of the questions that the base learned from."""
BASE: Final = "base"


class Arm(NamedTuple):
    """One way to fine-tune. share: of supervised tokens that is replay; in_rows: a quarter of the rows instead."""

    loss: Loss
    share: float = 0.0
    in_rows: bool = False
    kl: float = 0.0


ARMS: Final[dict[str, Arm]] = {
    "completion": Arm("completion"),
    "completion, rows 75/25": Arm("completion", in_rows=True),
    "completion, replay": Arm("completion", SHARE_REPLAY),
    "decisions": Arm("decisions"),
    "decisions, replay": Arm("decisions", SHARE_REPLAY),
    "constrained": Arm("constrained"),
    "constrained, replay": Arm("constrained", SHARE_REPLAY),
    "constrained, more replay": Arm("constrained", MORE_REPLAY),
    "constrained, more replay, KL": Arm("constrained", MORE_REPLAY, kl=1.0),
}


@dataclass(frozen=True)
class Domain:
    """A task of customers: labelled comments to learn, others to be asked, how many are seen, and how many a step."""

    name: str
    taxonomy: Path
    train: Path
    test: Path
    exposures: int
    batch: int


@dataclass(frozen=True)
class Run:
    """One training to be done. `folder` is the experiment's."""

    folder: Path
    domain: Domain
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.domain.name}-{list(ARMS).index(self.arm)}-{self.seed}"


def experiment(
    folder: Path,
    say: Say,
    *,
    seeds: int,
    exposures: int,
    at_once: int,
    arms: Sequence[str] = tuple(ARMS),
    only: str | None = None,
    base: Path | None = None,
    gsm8k_folder: Path | None = None,
    clinc_folder: Path | None = None,
) -> list[dict[str, Any]]:
    """All runs that `folder` lacks, seed by seed; gives every result.

    only: `voc` or `clinc`. base: of an earlier experiment, to begin from. Raises CallWrong where the domain's data
    is not given or the folder's experiment is another, CheckpointInvalid, and what a run raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if base:
        _begin_from(base, folder / BASE)
    _general(folder, gsm8k_folder, say)
    domains = [] if only == "clinc" else [_bundled(folder, exposures)]
    if clinc_folder and only != "voc":
        domains.append(_clinc(folder, clinc_folder))
    if not domains:
        raise CallWrong("--only clinc needs its data: give --clinc")
    results = folder / "results.jsonl"
    if not (folder / BASE / MANIFEST).is_file():
        from train.run import run  # noqa: PLC0415 (torch takes seconds to import)

        say("the base")
        for left in (BASE, f"{BASE}.run"):
            shutil.rmtree(folder / left, ignore_errors=True)
        run(_base(folder, with_gsm8k=gsm8k_folder is not None), folder / BASE, say, resume=True)
    done = {(row["domain"], row["arm"], row["seed"]) for row in read_results(results)}
    if missing := [(domain, BASE, 0) for domain in domains if (domain.name, BASE, 0) not in done]:
        from train.experiment.run import measured  # noqa: PLC0415 (as above)

        _note(results, [measured(folder, domain, folder / BASE, arm, seed) for domain, arm, seed in missing])
    runs = [Run(folder, domain, arm, seed) for seed in range(seeds) for domain in domains for arm in arms]
    missing_runs = [run for run in runs if (run.domain.name, run.arm, run.seed) not in done]
    for row in _all(missing_runs, at_once, say):
        _note(results, [row])
    return read_results(results)


def _begin_from(base: Path, there: Path) -> None:
    """Raises CheckpointInvalid where it is none, CallWrong where the folder has another."""
    manifest = read_manifest(base)
    verify(base, manifest)
    if not (there / MANIFEST).is_file():
        shutil.copytree(base, there, dirs_exist_ok=True)
    elif read_manifest(there).version != manifest.version:
        raise CallWrong(f"{there} is another base than {base}; give another folder")


def read_results(file: Path) -> list[dict[str, Any]]:
    """What has been measured so far."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def recipe_of(run: Run, rows_share: float) -> Recipe:
    """The arm's recipe. rows_share: the share of supervised tokens at which a quarter of the rows are replay."""
    arm = ARMS[run.arm]
    share = rows_share if arm.in_rows else arm.share
    # As in the study, replay by rows takes the place of comments; replay by share comes on top of all of them.
    seen = round(run.domain.exposures * (1 - ROWS_REPLAY)) if arm.in_rows else run.domain.exposures
    general = {"name": "general", "chats": [str(run.folder / "general.jsonl")], "share": share}
    changes = {
        "seed": run.seed,
        "base": str(run.folder / BASE),
        "corpus": {"comments": [str(run.domain.train)], "taxonomy": str(run.domain.taxonomy)},
        "loss": arm.loss,
        "replay": [general] if share else [],
        "replay_kl": arm.kl,
    }
    told = load_recipe(ARM_RECIPE).model_dump(exclude_unset=True)
    told["optimisation"] |= {"comments": seen, "batch": run.domain.batch}
    return Recipe.model_validate(told | changes)


def _base(folder: Path, *, with_gsm8k: bool) -> Recipe:
    told = load_recipe(BASE_RECIPE).model_dump(exclude_unset=True)
    shares = {name: share for name, share in BASE_SHARES.items() if with_gsm8k or name != "gsm8k"}
    told["replay"] = [
        {"name": name, "chats": [str(folder / f"{name}-train.jsonl")], "share": share / sum(shares.values())}
        for name, share in shares.items()
    ]
    return Recipe.model_validate(told)


def _general(folder: Path, gsm8k_folder: Path | None, say: Say) -> None:
    """The suite's splits, GSM8K's, and what replay is drawn from."""
    if (folder / "general.jsonl").is_file():
        return
    say("writing the general suite")
    write_questions(suite("train", 60_000, 0), folder / "suite-train.jsonl")
    write_questions(suite("train", 150_000, 1, HARD), folder / "hard-train.jsonl")
    write_questions(suite("test", SUITE_TEST, 0), folder / "suite-test.jsonl")
    if gsm8k_folder:
        write_questions(gsm8k(gsm8k_folder, "train"), folder / "gsm8k-train.jsonl")
        write_questions(islice(gsm8k(gsm8k_folder, "test"), 300), folder / "gsm8k-test.jsonl")
    kept = [islice(read_questions(folder / f"{name}-train.jsonl"), count) for name, count in REPLAYED.items()]
    write_questions(chain.from_iterable(kept[: 1 + (gsm8k_folder is not None)]), folder / "general.jsonl")


def _bundled(folder: Path, exposures: int) -> Domain:
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


def _clinc(folder: Path, source: Path) -> Domain:
    taxonomy, train, test = folder / "clinc.yaml", folder / "clinc-train.jsonl", folder / "clinc-test.jsonl"
    if not test.is_file():
        write_clinc(source, taxonomy, train, test)
    return Domain("clinc", taxonomy, train, test, 15_000, 16)


def _all(runs: Sequence[Run], at_once: int, say: Say) -> Iterator[dict[str, Any]]:
    """So many runs at once, each with its part of the cores."""
    from train.experiment.run import done  # noqa: PLC0415 (torch takes seconds to import)

    os.environ["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // at_once))
    # A comment's few strings are tokenised sooner than handed to threads that have no core to themselves.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    started = time.monotonic()
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        futures = [pool.submit(done, run) for run in runs]
        try:
            for count, future in enumerate(as_completed(futures), 1):
                row = future.result()
                say(f"{count} of {len(runs)} after {(time.monotonic() - started) / 60:.0f} min: {_told(row)}")
                yield row
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _told(row: dict[str, Any]) -> str:
    return (
        f"{row['domain']}, {row['arm']}, seed {row['seed']}: leaf F1 {row['leaf_f1']:.3f}, "
        f"general {row['general']:.3f}, {row['training_s']} s"
    )


def _note(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_jsonl([*read_results(file), *rows], file)
