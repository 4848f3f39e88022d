"""The experiment: which recipe learns the customers' task and forgets nothing. Small, real trainings from one base.

A base is made from scratch on the general suite (and GSM8K, where it is given). From it every arm is trained with every
seed, on the bundled corpus and, where it is given, on CLINC150. Each is asked the domain's test split and the suite's.
What is done stays done: results.jsonl gains a line a run, and a second call does what is missing.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from serve.engine.orphans import end_with_parent
from taxonomy.errors import CallWrong
from train.experiment.arms import ARMS, BASE, ArmRun, Domain
from train.experiment.base import begin_from, make_base
from train.experiment.data import bundled_domain, clinc_domain, write_general
from train.experiment.results import ArmResult, read_results, write_results
from train.experiment.run import measured, trained_and_measured

RESULTS: Final = "results.jsonl"


def experiment(
    folder: Path,
    say: Callable[[str], None],
    *,
    seeds: int,
    exposures: int,
    at_once: int,
    arms: Sequence[str] = tuple(ARMS),
    only: str | None = None,
    base: Path | None = None,
    gsm8k_folder: Path | None = None,
    clinc_folder: Path | None = None,
) -> list[ArmResult]:
    """All runs that `folder` lacks, seed by seed; gives every result.

    only: `voc` or `clinc`. base: of an earlier experiment, to begin from. Raises CallWrong where the domain's data
    is not given or the folder's experiment is another, CheckpointInvalid, and what a run raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if base:
        begin_from(base, folder)
    write_general(folder, gsm8k_folder, say)
    domains = _domains(folder, exposures, only, clinc_folder)
    make_base(folder, say, with_gsm8k=gsm8k_folder is not None)
    file = folder / RESULTS
    done = {result.key for result in read_results(file)}
    unmeasured = [domain for domain in domains if (domain.name, BASE, 0) not in done]
    _add(file, [measured(folder, domain, folder / BASE, BASE, 0) for domain in unmeasured])
    runs = [ArmRun(folder, domain, arm, seed) for seed in range(seeds) for domain in domains for arm in arms]
    for result in _results([run for run in runs if run.key not in done], at_once, say):
        _add(file, [result])
    return read_results(file)


def _domains(folder: Path, exposures: int, only: str | None, clinc_folder: Path | None) -> list[Domain]:
    domains = [] if only == "clinc" else [bundled_domain(folder, exposures)]
    if clinc_folder and only != "voc":
        domains.append(clinc_domain(folder, clinc_folder))
    if not domains:
        raise CallWrong("--only clinc needs its data: give --clinc")
    return domains


def _results(runs: Sequence[ArmRun], at_once: int, say: Callable[[str], None]) -> Iterator[ArmResult]:
    """So many runs at once, each with its part of the cores; as they end."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // at_once))
    # A comment's few strings are tokenised sooner than handed to threads that have no core to themselves.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    started = time.monotonic()
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        futures = [pool.submit(trained_and_measured, run) for run in runs]
        try:
            for count, future in enumerate(as_completed(futures), 1):
                result = future.result()
                say(f"{count} of {len(runs)} after {(time.monotonic() - started) / 60:.0f} min: {_line(result)}")
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _line(result: ArmResult) -> str:
    return (
        f"{result.domain}, {result.arm}, seed {result.seed}: leaf F1 {result.leaf_f1:.3f}, "
        f"general {result.general:.3f}, {result.training_s} s"
    )


def _add(file: Path, results: Sequence[ArmResult]) -> None:
    if results:
        write_results([*read_results(file), *results], file)
