"""`eval general` on a small real model with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM

from eval.general.figures import read_questions
from eval.general.suite import write_questions
from eval.general.tasks import task_manager
from route_feedback import main
from tests.eval.general.questions_folder import write_folder
from tests.support.tokenizers import tokenizer_of_kind
from train.corpus.suite import suite
from train.loop.sft import fresh_model
from train.recipe_parts import Architecture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("general"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    tokenizer = tokenizer_of_kind("bundled")
    shape = Architecture(vocabulary=len(tokenizer), hidden=64, layers=1, intermediate=64, context=2048)
    fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, seed=0).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def general(model: Path | str, folder: Path, *more: str) -> int:
    return main(["eval", "general", "--checkpoint", str(model), "--data", str(folder), *more])


def test_a_model_directory_gives_the_harness_numbers_and_every_question(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = tmp_path / "questions.jsonl", tmp_path / "suite.jsonl"
    write_questions(suite("test", 5, 0), asked)
    tasks = ("--tasks", "gsm8k,mmlu,suite", "--questions", str(asked), "--limit", "2")
    assert general(model, folder, *tasks, "--json", "--out", str(out)) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert "== mmlu: 114 questions" in captured.err
    assert told["ifeval"] is None
    questions = list(read_questions(out))
    assert [question.benchmark for question in questions] == ["mmlu"] * 114 + ["gsm8k"] * 2 + ["suite"] * 5
    right = sum(question.scores["accuracy"][0] for question in questions[:114])
    assert told["mmlu"]["accuracy"]["value"] == pytest.approx(right / 114)
    manager = task_manager(folder)
    groups = [manager.load("general_mmlu")["groups"]["general_mmlu"]]
    theirs = simple_evaluate(HFLM(str(model), device="cpu", batch_size=8), tasks=groups, limit=2, task_manager=manager)
    assert told["mmlu"]["accuracy"]["value"] == theirs["results"]["mmlu"]["acc,none"]


def test_what_a_person_reads_says_what_was_not_scored(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert general(model, folder, "--tasks", "ifeval", "--limit", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [["mmlu", "not", "scored"], ["mmlu_generative", "not", "scored"]]
    assert [line.split()[1] for line in lines if line.startswith("ifeval")] == [
        "prompt_strict",
        "instruction_strict",
        "prompt_loose",
        "instruction_loose",
    ]
    assert "the first 1 questions" in lines[-1]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--tasks", "mmlu,gsm9k"), 2, "'gsm9k' is none of mmlu, mmlu_generative, mmlu_continuation, arc_easy"),
        (("--limit", "0"), 2, "--limit 0: at least one question must be asked"),
        (("--data", "nowhere"), 2, "nowhere is no folder of general benchmarks"),
    ],
)
def test_a_wrong_call_says_so(
    folder: Path, more: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert general("nothing", folder, *more) == code
    assert said in capsys.readouterr().err


def test_a_directory_that_holds_no_model_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert general(tmp_path, folder, "--tasks", "mmlu") == 1
    assert f"{tmp_path}: cannot be loaded as a language model" in capsys.readouterr().err


def test_a_model_without_a_chat_template_is_refused_where_one_is_needed(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in model.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert general(tmp_path, folder, "--tasks", "ifeval") == 1
    assert "has no chat template; leave out the tasks that need one" in capsys.readouterr().err
