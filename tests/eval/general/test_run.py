"""General scores: the harness's own numbers, from local files, with what it does not say beside them."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval import simple_evaluate
from lm_eval.api.metrics import exact_match_fn
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from eval.general.benchmarks import NAMES
from eval.general.data import gsm8k, ifeval, mmlu
from eval.general.figures import BenchmarkScores, GeneralRun, GeneralScores, Share, read_questions, write_questions
from eval.general.models import ScriptedModel
from eval.general.run import letter_of, run
from taxonomy.errors import DataInvalid
from tests.eval.general.choice_questions import QUESTIONS_WITH_CHOICES
from tests.eval.general.questions_folder import QUESTIONS, subjects, write_folder, write_jsonl

SHARED = Path("../shared/data")
ALL = NAMES[:-1]
VOC = json.dumps([{"content": "Which is it?", "L1": "A", "L2": "B", "L3": "C", "L4": "D", "emotion": "neutral"}])
ANSWERS = ("A", "b.", "(C)", "The answer is B.", VOC, "Bonjour, ça va très bien aujourd'hui.", "*HI*\nyou *two*", "")


def drawn(prompt: str) -> int:
    return int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16)


def moody() -> ScriptedModel:
    """A model that answers all sorts of things, always the same to one prompt."""
    return ScriptedModel(moody_answer, lambda *texts: drawn("".join(texts)) / 1e9)


def moody_answer(prompt: str) -> str:
    sums = re.findall(r"(\d) plus", prompt)
    twice = 2 * int(sums[-1]) if sums else 0
    answers = (f"#### {twice}", f"So {twice}", "None.") if sums else ANSWERS
    return answers[drawn(prompt) % len(answers)]


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("general"))


@pytest.fixture(scope="module")
def ours(folder: Path) -> GeneralRun:
    return run(moody(), ALL, folder, None, quiet)


@pytest.fixture(scope="module")
def stock(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    """The harness's own task class and definitions; its JSON reader, as its manual tells for local files."""
    return TaskManager(include_defaults=False, include_path=stock_tasks(folder, tmp_path_factory.mktemp("stock")))


def stock_tasks(folder: Path, home: Path) -> Path:
    harness = Path(__import__("lm_eval.tasks").tasks.__path__[0])
    for kind in ("default", "generative", "continuation"):
        for file in (harness / "mmlu" / kind).glob("_mmlu*.yaml"):
            shutil.copy(file, home / f"{kind}{file.name}")
        for subject in subjects():
            files = {split: mmlu_json(folder, home, subject, split) for split in ("dev", "test")}
            include(harness / "mmlu" / kind / f"mmlu_{subject}.yaml", home / f"{kind}_{subject}.yaml", files)
    prompts = [json.loads(line) for line in (folder / "ifeval" / "m_ifeval_en.jsonl").read_text().splitlines()]
    for prompt in prompts:
        prompt["instruction_id_list"] = [name[3:] for name in prompt["instruction_id_list"]]
    write_jsonl(home / "ifeval.jsonl", prompts)
    include(harness / "ifeval" / "ifeval.yaml", home / "ifeval.yaml", {"train": home / "ifeval.jsonl"})
    problems = {split: folder / "gsm8k" / f"{split}.jsonl" for split in ("train", "test")}
    include(harness / "gsm8k" / "gsm8k.yaml", home / "gsm8k.yaml", problems)
    for name, data in QUESTIONS_WITH_CHOICES.items():
        write_jsonl(home / f"{name}.jsonl", data.documents)
        # No examples are asked for, but the harness opens what it would take them from.
        of_split = dict.fromkeys(("train", data.split), home / f"{name}.jsonl")
        include(harness / STOCK[name], home / f"{name}.yaml", of_split)
    return home


STOCK = {
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "commonsenseqa": "commonsense_qa/default.yaml",
    "piqa": "piqa/piqa.yaml",
    "winogrande": "winogrande/default.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "boolq": "super_glue/boolq/default.yaml",
}


def mmlu_json(folder: Path, home: Path, subject: str, split: str) -> Path:
    with (folder / "mmlu" / split / f"{subject}_{split}.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    file = home / f"{subject}_{split}.jsonl"
    write_jsonl(file, [{"question": q, "subject": subject, "choices": c, "answer": int(a)} for q, *c, a in rows])
    return file


def include(stock: Path, file: Path, data: dict[str, Path]) -> None:
    files = {split: str(path) for split, path in data.items()}
    task = {"include": str(stock), "dataset_path": "json", "dataset_name": None}
    file.write_text(
        yaml.safe_dump(task | {"dataset_kwargs": {"data_files": files, "cache_dir": str(file.parent / "cache")}})
    )


@pytest.mark.parametrize(
    ("benchmark", "asked"),
    [
        ("mmlu", {"num_fewshot": 5}),
        ("mmlu_generative", {"num_fewshot": 0, "apply_chat_template": True}),
        ("mmlu_continuation", {}),
        ("ifeval", {"apply_chat_template": True}),
        ("gsm8k", {}),
        *((name, {}) for name in QUESTIONS_WITH_CHOICES),
    ],
)
def test_prompts_and_numbers_equal_the_harness_run_directly_on_the_same_documents(
    folder: Path, stock: TaskManager, benchmark: str, asked: dict[str, Any]
) -> None:
    prompts: dict[str, list[tuple[str, ...]]] = {"ours": [], "theirs": []}
    mine = measured(run(recording(prompts["ours"]), [benchmark], folder, None, quiet), benchmark)
    theirs_of_it = {"commonsenseqa": "commonsense_qa"}.get(benchmark, benchmark)
    loaded = stock.load(theirs_of_it)
    assert {type(task) for task in loaded["tasks"].values()} == {ConfigurableTask}
    tasks = [loaded.get("groups", {}).get(theirs_of_it) or loaded["tasks"][theirs_of_it]]
    theirs = simple_evaluate(recording(prompts["theirs"]), tasks=tasks, task_manager=stock, **asked)["results"]
    assert prompts["ours"] == prompts["theirs"]
    compared = 0
    for row, figures in ((theirs[theirs_of_it], mine.figures), *of_subjects(theirs, mine.subjects)):
        for name, metric in METRICS[benchmark].items():
            assert figures[name].value == row[metric]
            stderr = row[metric.replace(",", "_stderr,")]
            assert stderr in (figures[name].stderr, "N/A")
            compared += 1
    assert compared == (58 if "mmlu" in benchmark else {"ifeval": 4, "gsm8k": 2}.get(benchmark, 1))


METRICS = {
    **{name: {"accuracy": "acc,none"} for name in ("mmlu", "mmlu_continuation", "arc_easy", "winogrande", "boolq")},
    **{name: {"accuracy": "acc_norm,none"} for name in ("arc_challenge", "piqa", "hellaswag", "openbookqa")},
    "commonsenseqa": {"accuracy": "acc,none"},
    "mmlu_generative": {"accuracy": "exact_match,get_response"},
    "ifeval": {
        f"{ours}_{how}": f"{theirs}_level_{how}_acc,none"
        for ours, theirs in (("prompt", "prompt"), ("instruction", "inst"))
        for how in ("strict", "loose")
    },
    "gsm8k": {"strict": "exact_match,strict-match", "flexible": "exact_match,flexible-extract"},
}


def recording(prompts: list[tuple[str, ...]]) -> ScriptedModel:
    model = moody()

    def likelihood(*texts: str) -> float:
        prompts.append(texts)
        return model._likelihood(*texts)

    def answer(prompt: str) -> str:
        prompts.append((prompt,))
        return model._answer(prompt)

    return ScriptedModel(answer, likelihood)


def of_subjects(theirs: dict[str, Any], subjects: dict[str, Share]) -> list[tuple[dict[str, Any], dict[str, Share]]]:
    rows = {row["alias"]: row for name, row in theirs.items() if name.startswith("mmlu_")}
    return [(rows[subject], {"accuracy": figure}) for subject, figure in subjects.items()]


def measured(run: GeneralRun, benchmark: str) -> BenchmarkScores:
    found = run.scores.benchmarks[benchmark]
    assert found
    return found


def test_every_figure_is_the_share_of_its_questions(ours: GeneralRun) -> None:
    for benchmark in ALL:
        asked = [question for question in ours.questions if question.benchmark == benchmark]
        for name, figure in measured(ours, benchmark).figures.items():
            parts = [part for question in asked for part in question.scores[name]]
            assert figure.value == pytest.approx(sum(parts) / len(parts))
            assert figure.count == len(parts)
            assert figure.interval
            low, high = figure.interval
            assert 0 <= low <= figure.value <= high <= 1


def test_mmlu_has_all_57_subjects_and_counts_questions_not_subjects(ours: GeneralRun) -> None:
    mmlu = measured(ours, "mmlu")
    assert len(mmlu.subjects) == 57
    assert mmlu.figures["accuracy"].count == 57 * QUESTIONS


def test_an_answer_that_the_harness_counts_is_read_as_its_letter(ours: GeneralRun) -> None:
    figures = {name: figure.value for name, figure in measured(ours, "mmlu_generative").figures.items()}
    assert figures["accuracy"] < figures["accuracy_by_letter"] < 1 - figures["unparsed"]


def test_a_model_that_answers_everything_in_voc_json_is_unparsed_and_not_ignorant(folder: Path) -> None:
    """What the study saw: 0.0038 on MMLU is no lost knowledge, but a lost way of answering."""
    knowing = ScriptedModel(lambda _: VOC, lambda prompt, letter: float(letter == f" {right(prompt)}"))
    found = run(knowing, ["mmlu", "mmlu_generative"], folder, None, quiet)
    assert measured(found, "mmlu").figures["accuracy"].value == 1.0
    assert measured(found, "mmlu_generative").figures["accuracy"].value == 0.0
    assert measured(found, "mmlu_generative").figures["unparsed"].value == 1.0


def test_a_model_that_answers_with_the_letter_is_right_in_all(folder: Path) -> None:
    found = run(ScriptedModel(right, lambda *_: 0.0), ["mmlu_generative"], folder, None, quiet)
    assert measured(found, "mmlu_generative").figures["accuracy"] == Share(1.0, 0.0, 57 * QUESTIONS)
    assert measured(found, "mmlu_generative").figures["unparsed"].value == 0.0


def right(prompt: str) -> str:
    """The letter of a prompt's last question: the folder's n-th question of a subject has the n-th choice."""
    return "ABCD"[int(prompt.split("th of them")[-2][-1]) % 4]


def test_what_was_not_run_is_none_and_never_zero(folder: Path) -> None:
    found = run(moody(), ["gsm8k"], folder, 2, quiet)
    assert measured(found, "gsm8k").figures["strict"].count == 2
    told = found.scores.as_json()
    assert [name for name in NAMES if told[name] is not None] == ["gsm8k"]
    assert told["limit"] == 2
    json.dumps(told)


def test_one_question_has_no_standard_error(folder: Path) -> None:
    strict = measured(run(moody(), ["gsm8k"], folder, 1, quiet), "gsm8k").figures["strict"]
    assert (strict.stderr, strict.interval) == (None, None)


def test_instructions_of_one_prompt_are_not_independent(ours: GeneralRun) -> None:
    """By hand: five prompts with 1, 2, 1, 1, 1 instructions."""
    figure = measured(ours, "ifeval").figures["instruction_loose"]
    parts = [question.scores["instruction_loose"] for question in ours.questions if question.benchmark == "ifeval"]
    assert [len(part) for part in parts] == [1, 2, 1, 1, 1]
    off = [sum(part) - figure.value * len(part) for part in parts]
    assert figure.stderr == pytest.approx((sum(x * x for x in off) * 5 / 4) ** 0.5 / 6)


def test_questions_come_back_from_their_file_as_they_were(ours: GeneralRun, tmp_path: Path) -> None:
    write_questions(ours.questions, tmp_path / "q.jsonl")
    assert list(read_questions(tmp_path / "q.jsonl")) == ours.questions
    ids = [question.id for question in ours.questions]
    assert len(set(ids)) == len(ids)


def test_a_broken_questions_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"benchmark": "mmlu"}\n')
    with pytest.raises(DataInvalid, match=r"q\.jsonl:1: not a question's result"):
        list(read_questions(tmp_path / "q.jsonl"))


def test_the_same_run_twice_gives_the_same(folder: Path, ours: GeneralRun) -> None:
    assert measured(run(moody(), ["ifeval"], folder, None, quiet), "ifeval") == measured(ours, "ifeval")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        (" b.", "B"),
        ("(C)", "C"),
        ("**D**", "D"),
        ("B. True, False", "B"),
        ("The correct answer is B.", "B"),
        ("Answer: C", "C"),
        ("A\nbecause", "A"),
        ("A good camera", None),
        ("A, B", None),
        ("", None),
        ("\nB", None),
        ("E", None),
        (VOC, None),
        ("[]", None),
    ],
)
def test_a_letter_is_read_where_the_first_line_gives_one(answer: str, letter: str | None) -> None:
    assert letter_of(answer) == letter


@given(text=st.text(alphabet="ABCDabcd.,;:!?()[]*_ \"'", max_size=6), target=st.sampled_from("ABCD"))
@settings(max_examples=300, deadline=None)
def test_whatever_the_harness_counts_as_right_is_read_as_that_letter(text: str, target: str) -> None:
    answer = text.strip()
    same = exact_match_fn(predictions=[answer], references=[target], ignore_case=True, ignore_punctuation=True)
    if same["exact_match"]:
        assert letter_of(answer) == target


def unasked() -> ScriptedModel:
    def fail(*_: str) -> Any:
        raise AssertionError("the model was asked")

    return ScriptedModel(fail, fail)


def edit(folder: Path, name: str, change: Callable[[str], str]) -> None:
    (folder / name).write_text(change((folder / name).read_text()))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("mmlu/test/virology_test.csv", lambda t: t.replace("answer", "solution"), ":1: the column 'answer'"),
        ("mmlu/test/virology_test.csv", lambda t: t.replace(",0\n", ",4\n"), r":3: answer is '4', not 0"),
        (
            "mmlu/dev/virology_dev.csv",
            lambda t: "".join(t.splitlines(keepends=True)[:5]),
            "mmlu_virology needs 5 examples",
        ),
        ("mmlu/test/virology_test.csv", lambda t: t.splitlines()[0], "is empty"),
        ("gsm8k/test.jsonl", lambda t: t + '{"question": "why?"}\n', ":7: the field 'answer' is missing"),
        ("gsm8k/test.jsonl", lambda t: t + "why?\n", ":7: not JSON: Expecting value"),
        (
            "ifeval/m_ifeval_en.jsonl",
            lambda t: t.replace("no_comma", "no_koma"),
            "prompt 1000 cannot be scored",
        ),
        ("ifeval/m_ifeval_en.jsonl", lambda t: t.replace("[{}]", "[]"), ":1: 1 instructions have 0 kwargs"),
    ],
)
def test_bad_data_is_named_before_the_model_is_asked(
    folder: Path, tmp_path: Path, file: str, change: Callable[[str], str], said: str
) -> None:
    shutil.copytree(folder, tmp_path / "data")
    edit(tmp_path / "data", file, change)
    benchmark = Path(file).parts[0]
    with pytest.raises(DataInvalid, match=said):
        run(unasked(), [benchmark], tmp_path / "data", None, quiet)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"gsm8k/train\.jsonl is missing"):
        run(unasked(), ["gsm8k"], tmp_path, None, quiet)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmarks' own questions are not here")
def test_the_benchmarks_own_questions_are_all_read() -> None:
    assert sum(len(mmlu(SHARED, subject)["test"]) for subject in subjects()) == 14042
    assert sum(len(mmlu(SHARED, subject)["dev"]) for subject in subjects()) == 5 * 57
    assert len(ifeval(SHARED)["train"]) == 541
    assert [len(split) for split in gsm8k(SHARED).values()] == [7473, 1319]


def test_nothing_scored_is_told_as_such() -> None:
    assert GeneralScores("0", None).as_json() == {"harness": "0", "limit": None} | dict.fromkeys(NAMES)
