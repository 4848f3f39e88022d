"""Questions with choices: files are read to the harness's documents, and figures are what a pencil makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.general.benchmarks import BENCHMARKS
from eval.general.choices import CHOICE_READERS, arc, boolq, commonsenseqa, hellaswag, openbookqa, piqa, winogrande
from eval.general.documents import Splits
from eval.general.figures import Share
from eval.general.models import ScriptedModel
from eval.general.run import run
from taxonomy.errors import DataInvalid
from tests.eval.general.choice_questions import QUESTIONS_WITH_CHOICES
from tests.eval.general.questions_folder import write_jsonl

SHARED = Path("../shared/data")
READERS: dict[str, Callable[[Path], Splits]] = {
    "arc_easy": lambda folder: arc(folder, "ARC-Easy"),
    "arc_challenge": lambda folder: arc(folder, "ARC-Challenge"),
    "openbookqa": openbookqa,
    "commonsenseqa": commonsenseqa,
    "piqa": piqa,
    "winogrande": winogrande,
    "hellaswag": hellaswag,
    "boolq": boolq,
}


def write(folder: Path, benchmark: str, rows: list[dict[str, Any]] | None = None) -> Path:
    data = QUESTIONS_WITH_CHOICES[benchmark]
    write_jsonl(folder / data.file, data.rows if rows is None else rows)
    return folder / data.file


@pytest.mark.parametrize("benchmark", QUESTIONS_WITH_CHOICES)
def test_a_file_is_read_to_the_harness_documents(tmp_path: Path, benchmark: str) -> None:
    write(tmp_path, benchmark)
    data = QUESTIONS_WITH_CHOICES[benchmark]
    assert READERS[benchmark](tmp_path) == {data.split: data.documents}


@pytest.mark.parametrize(
    ("context", "first", "second"),
    [
        ("A man runs. he", "A man runs.", "he"),
        ('He says "go!" the other man', 'He says "go!"', "the other man"),
        ("A man runs. He stops.", "A man runs. He stops.", ""),
        ("A man is seen running a 2.5 mile race", "A man is seen running a 2.5 mile race", ""),
    ],
)
def test_what_follows_the_last_sentence_of_a_context_is_its_second_part(
    tmp_path: Path, context: str, first: str, second: str
) -> None:
    base = QUESTIONS_WITH_CHOICES["hellaswag"].rows[0]
    write(tmp_path, "hellaswag", [base | {"question": f"Running a race: {context}"}])
    (document,) = hellaswag(tmp_path)["validation"]
    assert (document["activity_label"], document["ctx_a"], document["ctx_b"]) == ("Running a race", first, second)


@pytest.mark.parametrize(
    ("benchmark", "change", "said"),
    [
        ("arc_easy", {"answer": "D"}, "answer is 'D', not A or B or C"),
        ("arc_challenge", {"labels": ["A", "B"]}, "5 choices have 2 labels"),
        ("openbookqa", {"question": " "}, "question is ' ', not a text"),
        ("openbookqa", {"labels": ["A", "A", "C"]}, "two of the labels are equal"),
        ("commonsenseqa", {"labels": list("ABCDF")}, "the labels are A, B, C, D, F, not A, B, C, D, E"),
        ("piqa", {"choices": "turn it"}, "choices is no list of two or more"),
        ("piqa", {"choices": ["turn it", None]}, "choices is None, not a text"),
        ("winogrande", {"question": "Ann asked Eve."}, r"the question has 0 gaps \(_\), not one"),
        ("hellaswag", {"question": "Baking"}, "not an activity, a colon and a context"),
        ("boolq", {"labels": ["yes", "no"]}, "the labels are yes, no, not no, yes"),
        ("boolq", {"passage": 3}, "passage is 3, not a text"),
    ],
)
def test_a_malformed_row_is_named_with_file_and_line(
    tmp_path: Path, benchmark: str, change: dict[str, Any], said: str
) -> None:
    rows = QUESTIONS_WITH_CHOICES[benchmark].rows
    file = write(tmp_path, benchmark, [rows[-1], rows[0] | change])
    with pytest.raises(DataInvalid, match=rf"{file.name}:2: .*{said}"):
        READERS[benchmark](tmp_path)


@pytest.mark.parametrize("field", ["question", "choices", "labels", "answer"])
def test_a_field_that_is_missing_is_named(tmp_path: Path, field: str) -> None:
    row = {name: value for name, value in QUESTIONS_WITH_CHOICES["piqa"].rows[0].items() if name != field}
    write(tmp_path, "piqa", [row])
    with pytest.raises(DataInvalid, match=rf"valid\.jsonl:1: the field '{field}' is missing"):
        piqa(tmp_path)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"boolq/dev\.jsonl is missing"):
        boolq(tmp_path)
    write(tmp_path, "boolq", [])
    with pytest.raises(DataInvalid, match=r"boolq/dev\.jsonl is empty"):
        boolq(tmp_path)


LIKELIHOODS = {"turn its lid": -6.0, "turn its lid with a hammer and a saw": -9.0, "hang it up": -4.0}
"""A letter of the second is likelier than one of the first: 9 / 36 < 6 / 12. The rest is -20."""


def test_figures_are_those_computed_by_hand(tmp_path: Path) -> None:
    """PIQA is read by length. Open a jar: -6/12 < -9/36, wrong. Dry a shirt: -20/29 < -4/10 is false by -0.69 < -0.4,
    so hang it up, right. Sharpen a pencil: -20/8 < -20/11, use a knife, right. By the likelihood alone it would be
    right, right, and the first of two equals, which is wrong.
    """
    write(tmp_path, "piqa")
    model = ScriptedModel(str, lambda _, text: LIKELIHOODS.get(text.strip(), -20.0))
    found = run(model, ["piqa"], tmp_path, None, lambda _: None)
    assert [(question.answer, question.scores["accuracy"]) for question in found.questions] == [
        ("B", (False,)),
        ("B", (True,)),
        ("B", (True,)),
    ]
    measured = found.scores.benchmarks["piqa"]
    assert measured
    # 2/3; the sample's variance is (2/3 * 1/3) * 3/2 = 1/3, of the mean 1/9.
    assert measured.figures["accuracy"].value == pytest.approx(2 / 3)
    assert measured.figures["accuracy"].stderr == pytest.approx(1 / 3)


def test_winogrande_asks_for_the_end_after_each_of_the_two(tmp_path: Path) -> None:
    write(tmp_path, "winogrande")
    asked: list[tuple[str, str]] = []

    def likelihood(prompt: str, text: str) -> float:
        asked.append((prompt, text))
        return -float(len(prompt))

    found = run(ScriptedModel(str, likelihood), ["winogrande"], tmp_path, 2, lambda _: None)
    assert asked == [
        ("The box did not fit into the bag as the box", " was too big."),
        ("The box did not fit into the bag as the bag", " was too big."),
        ("Ann asked Eve for help, and Ann", " gave it."),
        ("Ann asked Eve for help, and Eve", " gave it."),
    ]
    # All are equally likely, so that the first is taken: right once of twice.
    assert [question.scores["accuracy"] for question in found.questions] == [(True,), (False,)]
    assert found.scores.limit == 2


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        # Wilson's interval of 10 and of 2,376 questions, as tables have it.
        (Share(0.0, 0.0, 10), 0.0, 0.2775),
        (Share(0.5, (0.25 / 2376) ** 0.5, 2376), 0.4799, 0.5201),
        # Of clusters it is that of as many questions as their error stands for: 100.
        (Share(0.5, 0.05, 400), 0.4038, 0.5962),
    ],
)
def test_an_interval_is_wilsons(share: Share, low: float, high: float) -> None:
    assert share.interval == pytest.approx((low, high), abs=5e-5)


def test_every_data_set_of_a_benchmark_has_a_reader() -> None:
    named = {Path(benchmark.data).parts[0] for benchmark in BENCHMARKS.values()} - {"mmlu", "ifeval", "gsm8k"}
    assert named == {Path(data.file).parts[0] for data in QUESTIONS_WITH_CHOICES.values()}
    assert len(CHOICE_READERS) == len(named)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmarks' own questions are not here")
def test_the_benchmarks_own_questions_with_choices_are_all_read() -> None:
    counts = {name: len(next(iter(read(SHARED).values()))) for name, read in READERS.items()}
    assert counts == {
        "arc_easy": 2376,
        "arc_challenge": 1172,
        "openbookqa": 500,
        "commonsenseqa": 1221,
        "piqa": 1838,
        "winogrande": 1267,
        "hellaswag": 10042,
        "boolq": 3270,
    }
    # All of HellaSwag's contexts from videos, and no other, break off within a sentence.
    assert 3200 < sum(bool(document["ctx_b"]) for document in hellaswag(SHARED)["validation"]) < 3260
