"""What a base is asked where it does not ask itself: the questions of chats, or the lines of a text file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from taxonomy.errors import CallWrong, CheckpointInvalid, DataInvalid
from taxonomy.jsonl import Row, parsed, without_faults
from train.data.chat_formats import Message, questions_of
from train.replay.speaking import Prompt
from train.replay.turns import Turns


def read_prompts(files: Sequence[Path], turns: Turns) -> list[Prompt]:
    """A line of a `.txt` file is a question; of a chat (JSONL) the system's and the user's turns are taken.

    Raises CallWrong (no such file, or nothing in it), DataInvalid naming the rows in error, OSError.
    """
    for file in files:
        if not file.is_file():
            raise CallWrong(f"there is no file of prompts {file}")
    prompts = [prompt for file in files for prompt in without_faults(_read(file, turns))]
    if not prompts:
        raise CallWrong(f"{files[0]}: there is no prompt in it")
    return prompts


def digest_of(prompts: Sequence[Prompt]) -> str:
    """A hash of what is asked, in its order."""
    return hashlib.sha256(repr([[tuple(turn) for turn in prompt] for prompt in prompts]).encode()).hexdigest()[:16]


def _read(file: Path, turns: Turns) -> Iterator[Prompt | DataInvalid]:
    if file.suffix != ".txt":
        yield from parsed(file, lambda row: _checked(row, turns))
        return
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataInvalid(f"{file}: not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from error
    yield from ((Message("user", line.strip()),) for line in lines if line.strip())


def _checked(row: Row, turns: Turns) -> Prompt:
    prompt = questions_of(row.value)
    try:
        turns.length(prompt)
    except CheckpointInvalid as error:
        raise ValueError(f"messages: {error}") from error
    return prompt
