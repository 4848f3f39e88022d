"""Questions with choices, made up: each as a folder of data has it, and as the harness's own data set does."""

from __future__ import annotations

from typing import Any, NamedTuple

Rows = list[dict[str, Any]]


class Data(NamedTuple):
    """file: in a folder of data. split: of the harness's data set. rows, documents: the same questions in both."""

    file: str
    split: str
    rows: Rows
    documents: Rows


def row(question: str, choices: list[str], labels: str, answer: str, **more: str) -> dict[str, Any]:
    return {"id": "x", "question": question, "choices": choices, "labels": list(labels), "answer": answer, **more}


LETTERED: list[tuple[str, list[str], str]] = [
    ("Which of them can fly?", ["a stone", "a swan", "a cellar door"], "B"),
    ("What do bees make?", ["honey", "wine", "glass", "paper that is read"], "A"),
    ("What is left of 12 eggs when 7 are gone?", ["5", "7", "12", "19", "none of all these eggs"], "A"),
]
FIVE: list[tuple[str, list[str], str]] = [
    ("Where would a lamp stand? ", ["desk", "lake", "soup", "cloud", "a shoe of mine"], "A"),
    ("Who rides a horse?", ["fish", "a knight", "rain", "tin", "moss"], "B"),
    ("What is cold?", ["fire", "noon", "ice", "tea", "bread"], "C"),
]
GOALS: list[tuple[str, list[str], str]] = [
    ("Open a jar", ["turn its lid", "turn its lid with a hammer and a saw"], "0"),
    ("Dry a shirt", ["put it into a lake for an hour", "hang it up"], "1"),
    ("Sharpen a pencil", ["use soup", "use a knife"], "1"),
]
GAPS: list[tuple[str, list[str], str]] = [
    ("The box did not fit into the bag as _ was too big.", ["the box", "the bag"], "1"),
    ("Ann asked Eve for help, and _ gave it.", ["Ann", "Eve"], "2"),
    ("_ was late, so Tom waited for Sue.", ["Tom", "Sue"], "2"),
]
ENDINGS: list[tuple[str, str, str, list[str], str]] = [
    # The activity, a context, what follows its last whole sentence, the endings, and which of them is right.
    ("Baking", "A woman stirs dough. She adds milk.", "the woman", ["sleeps.", "stirs on.", "flies.", "sings."], "1"),
    ("Home and Garden", "How to mow. Take a mower. Push it.", "", ["Stop.", "Eat it.", "Go on.", "Sell it."], "2"),
    ("Judo", 'Two men bow. One says "now." ', "then he", ["falls.", "throws him.", "reads.", "is a tree."], "1"),
]  # fmt: skip
PASSAGES: list[tuple[str, str, str, str]] = [
    ("Swan", "Swans are birds. They fly.", "can swans fly", "yes"),
    ("Honey", "Honey is made by bees.", "is honey made of glass", "no"),
    ("Ice", "Ice is frozen water.", "is ice water", "yes"),
]


def _lettered(questions: list[tuple[str, list[str], str]], stem: str = "question") -> tuple[Rows, Rows]:
    rows = [row(text, choices, "ABCDE"[: len(choices)], answer) for text, choices, answer in questions]
    return rows, [
        {
            stem: each["question"],
            "choices": {"text": each["choices"], "label": each["labels"]},
            "answerKey": each["answer"],
        }
        for each in rows
    ]


QUESTIONS_WITH_CHOICES: dict[str, Data] = {
    "arc_easy": Data("arc/arc_easy_test.jsonl", "test", *_lettered(LETTERED)),
    "arc_challenge": Data("arc/arc_challenge_test.jsonl", "test", *_lettered(LETTERED[::-1])),
    "openbookqa": Data("openbookqa/test.jsonl", "test", *_lettered(LETTERED, "question_stem")),
    "commonsenseqa": Data("commonsenseqa/dev.jsonl", "validation", *_lettered(FIVE)),
    "piqa": Data(
        "piqa/valid.jsonl",
        "validation",
        [row(goal, choices, "01", answer) for goal, choices, answer in GOALS],
        [{"goal": goal, "sol1": one, "sol2": two, "label": int(answer)} for goal, (one, two), answer in GOALS],
    ),
    "winogrande": Data(
        "winogrande/dev.jsonl",
        "validation",
        [row(text, choices, "12", answer) for text, choices, answer in GAPS],
        [{"sentence": text, "option1": one, "option2": two, "answer": answer} for text, (one, two), answer in GAPS],
    ),
    "hellaswag": Data(
        "hellaswag/val.jsonl",
        "validation",
        [
            row(f"{activity}: {first.strip()} {then}".strip(), endings, "0123", answer)
            for activity, first, then, endings, answer in ENDINGS
        ],
        [
            {"activity_label": activity, "ctx_a": first.strip(), "ctx_b": then, "endings": endings, "label": answer}
            for activity, first, then, endings, answer in ENDINGS
        ],
    ),
    "boolq": Data(
        "boolq/dev.jsonl",
        "validation",
        [
            {**row(asked, ["no", "yes"], "", answer, title=title, passage=passage), "labels": ["no", "yes"]}
            for title, passage, asked, answer in PASSAGES
        ],
        [
            {"passage": f"{title} -- {passage}", "question": asked, "label": int(answer == "yes")}
            for title, passage, asked, answer in PASSAGES
        ],
    ),
}
