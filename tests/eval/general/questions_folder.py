"""A small folder of general questions in the layout that the reader takes, with NLTK's sentence model in miniature."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path
from typing import Any

from tests.eval.general.choice_questions import QUESTIONS_WITH_CHOICES

QUESTIONS = 3
PROMPTS: list[tuple[str, list[str], list[dict[str, Any]]]] = [
    ("Say hello without a comma.", ["punctuation:no_comma"], [{}]),
    (
        "Write two sentences, at least one word of them in capitals.",
        ["length_constraints:number_sentences", "change_case:capital_word_frequency"],
        [{"relation": "less than", "num_sentences": 3}, {"capital_relation": "at least", "capital_frequency": 1}],
    ),
    ("Answer in French.", ["language:response_language"], [{"language": "fr"}]),
    ("Answer in JSON.", ["detectable_format:json_format"], [{}]),
    ("Name *two* things.", ["detectable_format:number_highlighted_sections"], [{"num_highlights": 2}]),
]


def subjects() -> list[str]:
    """The 57, by the files of the harness."""
    (home,) = importlib.import_module("lm_eval.tasks").__path__
    files = (Path(home) / "mmlu" / "default").glob("mmlu_*.yaml")
    return sorted(file.stem.removeprefix("mmlu_") for file in files)


def write_folder(folder: Path) -> Path:
    """Fill an empty folder; gives it back."""
    for subject in subjects():
        _mmlu(folder / "mmlu" / "dev" / f"{subject}_dev.csv", 5)
        _mmlu(folder / "mmlu" / "test" / f"{subject}_test.csv", QUESTIONS)
    prompts = [
        {"key": 1000 + n, "prompt": prompt, "instruction_id_list": [f"en:{name}" for name in names], "kwargs": kwargs}
        for n, (prompt, names, kwargs) in enumerate(PROMPTS)
    ]
    write_jsonl(folder / "ifeval" / "m_ifeval_en.jsonl", prompts)
    for split, count in (("train", 8), ("test", 6)):
        problems = [
            {"question": f"{split}: {n} plus {n}?", "answer": f"It is {2 * n}.\n#### {2 * n}"} for n in range(count)
        ]
        write_jsonl(folder / "gsm8k" / f"{split}.jsonl", problems)
    for data in QUESTIONS_WITH_CHOICES.values():
        write_jsonl(folder / data.file, data.rows)
    model = folder / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    model.mkdir(parents=True)
    for name, text in (("collocations.tab", "u\ts"), ("sent_starters.txt", "the"), ("abbrev_types.txt", "dr")):
        (model / name).write_text(text)
    (model / "ortho_context.tab").write_text("the\t46")
    return folder


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _mmlu(file: Path, count: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["question", "choice0", "choice1", "choice2", "choice3", "answer"])
        for n in range(count):
            rows.writerow([f" {file.stem}, the\n{n}th of them", n, n + 1, f'"{n}"', f"{n}, or", n % 4])
