"""Questions of every benchmark are found in data, and what only resembles them is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from eval.general.benchmarks import BENCHMARKS
from route_feedback import main
from taxonomy.bundled import BUNDLED_TAXONOMY, bundled_taxonomy
from taxonomy.errors import CallWrong, DataInvalid
from tests.eval.general.choice_questions import row
from tests.eval.general.questions_folder import write_jsonl
from train.data.chats import chat_of, write_chats
from train.data.check import DataReport, check
from train.data.contamination import ASKED, Benchmarks, Overlap, Question, questions

SHARED = Path("../shared/data")
TAXONOMY = bundled_taxonomy()
MMLU = "question,choice0,choice1,choice2,choice3,answer\n{},a,b,c,d,0\n"
CONTEXT = "A miller pours the grain into the hopper of his mill. he"
GAP = "The miller's flour did not fit into the chest since the _ was far too large for it that day."
PASSAGE = "A water mill uses the power of a river to turn the stones that grind the corn."
YES_NO = "does a water mill need a river to grind its corn"
SPANISH = "Escribe un poema sobre el molino viejo del pueblo sin usar ninguna coma en tu respuesta"


def asked(name: str) -> str:
    """19 words, whose every 13 in a row hold the one in the middle."""
    middle = name.replace("_", "")
    return f"On a cold morning the old miller of the village counts his {middle} sacks of flour twice before noon."


def choices(file: str, question: str, labels: str) -> Callable[[Path], None]:
    one = row(question, [f"choice {label}" for label in labels], labels, labels[0])
    return rows(file, one)


def rows(file: str, *of_file: dict[str, Any]) -> Callable[[Path], None]:
    return lambda folder: write_jsonl(folder / file, [*of_file])


def prompt(text: str, language: str) -> dict[str, Any]:
    return {"key": 1, "prompt": text, "instruction_id_list": [f"{language}:punctuation:no_comma"], "kwargs": [{}]}


def mmlu(folder: Path) -> None:
    (folder / "mmlu" / "test").mkdir(parents=True)
    (folder / "mmlu" / "test" / "milling_test.csv").write_text(MMLU.format(asked("mmlu")))


def ifeval(folder: Path) -> None:
    rows("ifeval/m_ifeval_en.jsonl", prompt(asked("ifeval"), "en"))(folder)
    rows("ifeval/m_ifeval_es.jsonl", prompt(SPANISH, "es"))(folder)


passage = {"title": "Mill", "passage": PASSAGE}
WRITE: dict[str, Callable[[Path], None]] = {
    "mmlu": mmlu,
    "arc_easy": choices("arc/arc_easy_test.jsonl", asked("arc_easy"), "AB"),
    "arc_challenge": choices("arc/arc_challenge_test.jsonl", asked("arc_challenge"), "1234"),
    "piqa": choices("piqa/valid.jsonl", asked("piqa"), "01"),
    "hellaswag": choices("hellaswag/val.jsonl", f"Milling: {CONTEXT}", "0123"),
    "winogrande": rows("winogrande/dev.jsonl", row(GAP, ["flour", "chest"], "12", "1")),
    "boolq": rows("boolq/dev.jsonl", row(YES_NO, ["no", "yes"], "", "yes", **passage) | {"labels": ["no", "yes"]}),
    "openbookqa": choices("openbookqa/test.jsonl", asked("openbookqa"), "ABCD"),
    "commonsenseqa": choices("commonsenseqa/dev.jsonl", asked("commonsenseqa"), "ABCDE"),
    "ifeval": ifeval,
    "gsm8k": rows("gsm8k/test.jsonl", {"question": asked("gsm8k"), "answer": "#### 7"}),
}
"""Writes the questions of each benchmark into a folder."""

FOUND = {name: [asked(name)] for name in WRITE} | {
    "hellaswag": [CONTEXT, f"{CONTEXT.replace(' he', ' He')} turns the wheel."],
    "winogrande": [GAP.replace("_", "flour"), GAP.replace("_", "chest")],
    "boolq": [PASSAGE, f"Tell me, {YES_NO}?"],
    "ifeval": [asked("ifeval"), SPANISH],
}
NEAR = {name: [asked("other"), "choice A, or choice 1"] for name in WRITE} | {
    "hellaswag": [f"Milling: {CONTEXT.removesuffix(' he')}", CONTEXT.replace("hopper", "bucket")],
    "winogrande": [GAP, GAP.replace("_", "bag")],
    "boolq": [PASSAGE.replace("turn the", "move the"), YES_NO.removesuffix(" corn")],
    "ifeval": [asked("other"), SPANISH.replace("pueblo", "bosque")],
}


def checked(folder: Path, texts: Iterable[str], benchmarks: Path) -> DataReport:
    write_jsonl(folder / "texts.jsonl", [{"text": text} for text in texts])
    return check([folder / "texts.jsonl"], TAXONOMY, benchmarks=benchmarks)


def test_every_data_set_that_is_asked_is_looked_for() -> None:
    assert set(WRITE) == set(ASKED)
    assert {BENCHMARKS[name].data for name in ASKED} == {benchmark.data for benchmark in BENCHMARKS.values()}


@pytest.mark.parametrize("name", WRITE)
def test_a_benchmark_by_itself_is_found_and_a_near_miss_is_not(tmp_path: Path, name: str) -> None:
    WRITE[name](tmp_path)
    known = Benchmarks(questions(tmp_path))
    assert known.names == (name,)
    for text in FOUND[name]:
        assert [question.benchmark for question in known.found(f"Well. {text} So it was.")] == [name], text
    for text in NEAR[name]:
        assert known.found(f"Well. {text} So it was.") == [], text


def test_all_benchmarks_of_a_folder_are_counted_by_name(tmp_path: Path) -> None:
    for write in WRITE.values():
        write(tmp_path / "general")
    rows_of = [(name, text) for name, texts in FOUND.items() for text in texts]
    report = checked(tmp_path, [text for _, text in rows_of], tmp_path / "general")
    assert report.benchmarks == {name: len(texts) for name, texts in FOUND.items()}
    assert [*report.benchmarks] == [*ASKED]
    assert [(Path(overlap.where).name, overlap.benchmark) for overlap in report.contamination] == [
        (f"texts.jsonl:{line}", name) for line, (name, _) in enumerate(rows_of, 1)
    ]
    near = checked(tmp_path, [text for texts in NEAR.values() for text in texts], tmp_path / "general")
    assert near.contamination == []
    assert near.benchmarks == dict.fromkeys(ASKED, 0)


def test_a_row_with_questions_of_two_benchmarks_is_one_row_and_counts_for_both(tmp_path: Path) -> None:
    for name in ("mmlu", "gsm8k", "piqa"):
        WRITE[name](tmp_path / "general")
    both = f"{asked('gsm8k')} {asked('mmlu')} {asked('gsm8k')}"
    report = checked(tmp_path, ["Nothing.", both], tmp_path / "general")
    assert report.benchmarks == {"mmlu": 1, "piqa": 0, "gsm8k": 1}
    assert report.counts()["contamination"] == 1
    (finding,) = report.findings()
    assert finding == (
        "1 rows that hold a benchmark's question (mmlu 1, gsm8k 1), first "
        f"{tmp_path / 'texts.jsonl'}:2 holds {asked('gsm8k')[:60]!r} of gsm8k"
    )


def test_the_same_question_in_two_benchmarks_counts_for_both() -> None:
    known = Benchmarks([Question(name, asked("same")) for name in ("one", "other", "one")])
    assert known.found(asked("same")) == [Question("one", asked("same")), Question("other", asked("same"))]


def test_a_question_is_found_whole_or_by_thirteen_words() -> None:
    short = "Which planet of our system is the third one"
    long = " ".join(f"word{number}" for number in range(30))
    known = Benchmarks([Question("short", short), Question("long", long), Question("tiny", "What is this?")])
    assert known.names == ("short", "long", "tiny")
    assert known.overlaps("1", f"He asked: {short.upper()}?") == [Overlap("1", "short", short)]
    assert known.overlaps("2", "so " + " ".join(long.split()[5:18]) + " it was") == [Overlap("2", "long", long[:60])]
    assert known.found(" ".join(long.split()[5:17])) == []
    assert known.found("What is this?") == []


def test_the_command_says_which_benchmarks_were_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WRITE["piqa"](tmp_path / "general")
    WRITE["arc_challenge"](tmp_path / "general")
    write_jsonl(tmp_path / "texts.jsonl", [{"text": asked("piqa")}])
    call = ["train", "check", str(tmp_path / "texts.jsonl"), "--taxonomy", str(BUNDLED_TAXONOMY)]
    call += ["--general", str(tmp_path / "general"), "--card", str(tmp_path / "card.md")]
    assert main(call) == 0
    assert "rows that hold a benchmark's question: 1 (arc_challenge 0, piqa 1)" in capsys.readouterr().out
    card = (tmp_path / "card.md").read_text()
    assert "| rows that hold a benchmark's question | 1 (arc_challenge 0, piqa 1) |" in card
    written = json.loads((tmp_path / "card.json").read_text())
    assert written["benchmarks"] == {"arc_challenge": 0, "piqa": 1}
    where = f"{tmp_path / 'texts.jsonl'}:1"
    assert written["contamination"] == [{"where": where, "benchmark": "piqa", "question": asked("piqa")[:60]}]


def test_a_folder_without_a_benchmark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(CallWrong, match=r"holds no benchmark that is known: mmlu, arc/arc_easy_test.jsonl, .*gsm8k$"):
        questions(tmp_path)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("mmlu/test", "mmlu/test holds no SUBJECT_test.csv"),
        ("ifeval", "m_ifeval_en.jsonl is missing"),
        ("boolq", "boolq/dev.jsonl is missing"),
        ("gsm8k", "gsm8k/test.jsonl is missing"),
    ],
)
def test_a_benchmark_without_its_questions_is_named(tmp_path: Path, folder: str, said: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataInvalid, match=said):
        list(questions(tmp_path))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmarks' own questions are not here")
def test_the_benchmarks_own_questions_are_found(tmp_path: Path) -> None:
    longest: dict[str, str] = {}
    for question in questions(SHARED):
        longest[question.benchmark] = max(longest.get(question.benchmark, ""), question.text, key=len)
    assert [*longest] == [*ASKED]
    write_chats([chat_of(text, "I do not know.") for text in longest.values()], tmp_path / "chats.jsonl")
    report = check([tmp_path / "chats.jsonl"], TAXONOMY, benchmarks=SHARED)
    assert report.counts()["contamination"] == len(ASKED)
    found = {(Path(overlap.where).name, overlap.benchmark) for overlap in report.contamination}
    assert found >= {(f"chats.jsonl:{line}", name) for line, name in enumerate(longest, 1)}
