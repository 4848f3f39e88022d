"""Labelled comments survive the way to conversations and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from route_feedback import main
from taxonomy.comments import read_comments, write_comments
from taxonomy.language.answer import read
from train.corpus.generator import Corpus, load_phrasebook
from train.data.convert import SCHEMA


def test_there_and_back_is_the_same_but_for_the_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comments = list(Corpus(load_phrasebook(), "train").comments(40))
    write_comments(comments, tmp_path / "a.jsonl")
    assert main(["train", "convert", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]) == 0
    assert main(["train", "convert", str(tmp_path / "b.jsonl"), str(tmp_path / "c.jsonl")]) == 0
    assert "40 conversations" in capsys.readouterr().out
    back = list(read_comments(tmp_path / "c.jsonl"))
    assert back == [replace(comment, id=f"line-{n:06d}") for n, comment in enumerate(comments, 1)]
    conversation = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0])
    assert conversation["schemaVersion"] == SCHEMA
    user, assistant = (message["content"][0]["text"] for message in conversation["messages"])
    assert user == comments[0].comment
    assert read(assistant) == comments[0].parts


CHAT = {
    "messages": [{"role": "user", "content": [{"text": "late"}]}, {"role": "assistant", "content": [{"text": "[]"}]}]
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schemaVersion": "other"}, "schemaVersion is 'other'"),
        ({"messages": []}, "messages: not one of a user"),
        ({"messages": [CHAT["messages"][0], {"role": "assistant", "content": "x"}]}, r"messages\[1\].content: no text"),
        (
            {"messages": [CHAT["messages"][0], {"role": "assistant", "content": [{"text": "sorry"}]}]},
            r"messages\[1\].content: no JSON array",
        ),
        (
            {
                "messages": [
                    CHAT["messages"][0],
                    {"role": "assistant", "content": [{"text": '[{"content": "early", "L1": "x"}]'}]},
                ]
            },
            r"segments\[0\].content is not in the comment",
        ),
    ],
)
def test_a_row_in_error_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in (CHAT, CHAT | change)))
    assert main(["train", "convert", str(source), str(target)]) == 1
    error = capsys.readouterr().err
    assert "a.jsonl:2: " in error
    assert re.search(said, error), error
    assert not target.exists()
