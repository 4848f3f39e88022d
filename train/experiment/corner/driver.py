"""The study's corner on a pretrained base: what each arm learns of customers' comments, and what it keeps.

Arm after arm, seed by seed; results.jsonl gains a line with each, and a second call does what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.decoding.evaluation import General
from eval.decoding.general import run_general
from eval.general.figures import GeneralRun, QuestionResult, read_questions, write_questions
from eval.scoring.predictions import read_gold
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.comments import write_comments
from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.forms import Form
from train.corpus.generator import Corpus, load_phrasebook
from train.data.mixture import MixedSource
from train.experiment.arms import BASE
from train.experiment.corner.arms import MIXED, REVIEWS, TAXONOMY, TRAINED, Corner, Run, Setting, recipe_of
from train.experiment.corner.models import base_weights, lacks, mixed_weights, trained
from train.experiment.corner.results import CornerResult, Domain, Training, add_result, read_corner
from train.experiment.corner.scores import domain_scores, mean_difference, mean_share, task_scores
from train.experiment.run import predictions
from train.loop.session import Say
from train.loop.steps import STEPS, read_steps

SETTING: Final = "setting.json"
BASE_RUN: Final = Run(BASE, 0)
Ask = Callable[[str, General, Say], GeneralRun]
"""Asks a folder's model general tasks."""
Asked = Callable[[Path], Sequence[QuestionResult]]
"""The same of a folder, with all else said."""


def corner_experiment(corner: Corner, runs: Iterable[Run], say: Say, ask: Ask = run_general) -> list[CornerResult]:
    """The base and all runs that the folder lacks; gives every result. An arm that cannot be run is named and skipped.

    Raises CallWrong where the folder's experiment is another, and what a training raises.
    """
    begin(corner)
    setting = corner.setting
    general = General(data=corner.data, tasks=setting.tasks, limit=setting.limit, batch=corner.batch)

    def asked(model: Path) -> Sequence[QuestionResult]:
        return ask(str(model), general, say).questions

    done = {result.run for result in read_corner(corner.folder)}
    for run in [BASE_RUN, *runs]:
        if run in done:
            continue
        if run != BASE_RUN and (reason := lacks(corner, run)):
            say(f"skipped: {run}: {reason}")
            continue
        say(f"{run}")
        result = _measured(corner, run, say, asked)
        add_result(corner.folder, result)
        say(_line(result))
    return read_corner(corner.folder)


def begin(corner: Corner) -> None:
    """The folder's setting and comments. Raises CallWrong where it has another setting, naming what differs."""
    file = corner.folder / SETTING
    if file.is_file():
        before, now = Setting.model_validate_json(file.read_text(encoding="utf-8")), corner.setting
        if differing := [name for name in Setting.model_fields if getattr(before, name) != getattr(now, name)]:
            said = "; ".join(f"{name} {getattr(before, name)}, not {getattr(now, name)}" for name in differing)
            raise CallWrong(f"{corner.folder} is an experiment of {said}; give another folder")
    else:
        corner.folder.mkdir(parents=True, exist_ok=True)
        book = load_phrasebook(REVIEWS)
        write_comments(Corpus(book, "train").comments(corner.setting.comments), corner.train)
        write_comments(Corpus(book, "test").comments(corner.setting.test_comments), corner.test)
        # Last: where it stands, the comments do.
        write_text(corner.setting.model_dump_json(indent=1) + "\n", file)


def _measured(corner: Corner, run: Run, say: Say, asked: Asked) -> CornerResult:
    if run == BASE_RUN:
        return _scored(corner, run, base_weights(corner), asked)
    if run.arm in TRAINED:
        manifest = trained(corner, run, say)
        return _scored(corner, run, corner.folder / run.name, asked, manifest)
    with mixed_weights(corner, run, say) as folder:
        return _scored(corner, run, folder, asked)


def _scored(corner: Corner, run: Run, folder: Path, asked: Asked, manifest: Manifest | None = None) -> CornerResult:
    started = time.monotonic()
    domain = None if run == BASE_RUN else _domain(corner, run, folder)
    questions = asked(folder)
    kept = _questions(corner, run)
    kept.parent.mkdir(exist_ok=True)
    write_questions(questions, kept)
    base = None if run == BASE_RUN else list(read_questions(_questions(corner, BASE_RUN)))
    tasks = task_scores(questions, base)
    return CornerResult(
        arm=run.arm,
        seed=run.seed,
        domain=domain,
        tasks=tasks,
        general=mean_share(tasks),
        difference=mean_difference(tasks),
        checkpoint=manifest.version if manifest else None,
        training=_training(corner, run, manifest) if manifest else None,
        scoring_s=round(time.monotonic() - started),
        threads=torch.get_num_threads(),
    )


def _domain(corner: Corner, run: Run, folder: Path) -> Domain:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, corner.setting.precision))
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    gold = read_gold(corner.test)
    form = _form(corner, run)
    return domain_scores(
        gold, predictions(model, AutoTokenizer.from_pretrained(folder), load_taxonomy(TAXONOMY), form, gold)
    )


def _form(corner: Corner, run: Run) -> Form:
    arm = MIXED[run.arm].of if run.arm in MIXED else run.arm
    return recipe_of(corner, Run(arm, run.seed), rows_share=0.5).form


def _questions(corner: Corner, run: Run) -> Path:
    return corner.folder / "questions" / f"{run.name}.jsonl"


def _training(corner: Corner, run: Run, manifest: Manifest) -> Training:
    steps = read_steps(corner.folder / f"{run.name}.run" / STEPS)
    return Training(
        seconds=manifest.training["seconds"],
        steps=manifest.training["steps"],
        tokens=round(sum(step["tokens"] for step in steps)),
        threads=torch.get_num_threads(),
        mix={name: MixedSource.model_validate(source) for name, source in manifest.data["mix"].items()},
    )


def _line(result: CornerResult) -> str:
    leaf = f"leaf F1 {result.domain.leaf.value:.3f}, " if result.domain else ""
    spent = f", {result.training.seconds} s of training" if result.training else ""
    return f"{result.run}: {leaf}general {result.general.value:.3f}{spent}, {result.scoring_s} s of scoring"
