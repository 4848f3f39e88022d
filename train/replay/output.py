"""The file of a base's own chats and the card beside it, which says how far it is: batch by batch, both whole.

The card is written after the chats that it counts. A file that is longer than its card says was left in the middle of
a batch, which is then written anew.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from taxonomy.jsonl import without_faults
from train.data.chat_formats import Message
from train.data.chats import Chat, as_json, read_chats
from train.recipe_parts import Sampling
from train.record import differences
from train.replay.speaking import Candidate

GIVEN: Final = "given"
"""In place of a temperature, where the questions were not the base's own."""


class Origin(BaseModel):
    """What decides the chats: another one of these, other chats. digests: of the base, what it is asked, what is kept
    out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_digest: str
    seed: int
    sampling: Sampling
    prompts: str | None = None
    excluded: str | None = None


class Tally(BaseModel):
    """Of the questions of one temperature: how many were tried, and how many chats were kept."""

    tried: int = 0
    kept: int = 0


class Card(BaseModel):
    """What a file of chats is made of. left_out: how many chats, by turn and reason. engine: device and dtype.

    size: the file's, in bytes, with the chats that are counted here. exhausted: of given prompts none is left.
    """

    model_config = ConfigDict(extra="forbid")

    base: str
    origin: Origin
    engine: str = ""
    asked_for: int | None = None
    tried: int = 0
    kept: int = 0
    left_out: dict[str, int] = {}
    temperatures: dict[str, Tally] = {}
    languages: dict[str, int] = {}
    size: int = 0
    exhausted: bool = False

    @property
    def is_finished(self) -> bool:
        return self.exhausted or (self.asked_for is not None and self.kept >= self.asked_for)

    def count(self, candidate: Candidate) -> None:
        """One more that was tried."""
        self.tried = candidate.number + 1
        temperature = GIVEN if candidate.temperature is None else f"{candidate.temperature:g}"
        tally = self.temperatures.setdefault(temperature, Tally())
        tally.tried += 1
        if candidate.reason:
            name = f"{candidate.part}: {candidate.reason}"
            self.left_out[name] = self.left_out.get(name, 0) + 1
        else:
            tally.kept += 1
            self.kept += 1


def card_file(out: Path) -> Path:
    """Where the card of a file of chats lies, as JSON; the page for a person ends in `.md`."""
    return out.with_name(f"{out.name.removesuffix('.jsonl')}.card.json")


def read_card(out: Path) -> Card | None:
    """The card beside a file of chats; none where there is none. Raises CallWrong where it is not one."""
    file = card_file(out)
    if not (file.is_file() and out.is_file()):
        return None
    try:
        return Card.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CallWrong(f"{file}: {where}: {first['msg']}; it is no card of replay: remove it with {out}") from error


class Output:
    """An open file of chats. Whoever opens it second, while the first still writes, gets CallWrong."""

    def __init__(self, out: Path, card: Card, *, resume: bool) -> None:
        """resume: go on with what is there. Raises CallWrong where that is of another origin, or not asked for."""
        before = read_card(out)
        if out.exists() and not resume:
            raise CallWrong(f"{out} is there already: go on with --resume, or remove it")
        if out.exists() and before is None and out.stat().st_size:
            raise CallWrong(
                f"{out} has no {card_file(out).name} beside it, so it is not known what it holds: remove it"
            )
        if before and (differing := differences(_plain(before.origin), _plain(card.origin))):
            raise CallWrong(f"{out} is of another origin: {'; '.join(differing)}. Give another file, or remove it")
        self._out, self.card = out, before or card
        self.card.asked_for, self.card.base = card.asked_for, card.base
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        file = self._out.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise CallWrong(f"{self._out}: another process is writing it") from None
        self._file = file
        if file.tell() < self.card.size:
            file.close()
            raise CallWrong(f"{self._out} holds less than {card_file(self._out).name} says: remove both")
        file.truncate(self.card.size)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def chats(self) -> Iterator[tuple[Message, ...]]:
        """Those that stand there."""
        return (chat.messages for chat in without_faults(read_chats(self._out)))

    def add(self, candidates: Sequence[Candidate], languages: Mapping[str, int]) -> None:
        """A batch, in the order of its numbers: those without a reason are written, all are counted. Raises OSError."""
        if self._file is None:
            raise ValueError("the file is not open")
        lines = [_line(candidate) for candidate in candidates if candidate.reason is None]
        self._file.write("".join(lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        for candidate in candidates:
            self.card.count(candidate)
        self.card.languages = dict(sorted(languages.items(), key=lambda item: (-item[1], item[0])))
        self.card.size = self._file.tell()
        self.save()

    def save(self) -> None:
        """Write the card, for programs. Raises OSError."""
        write_text(self.card.model_dump_json(indent=1) + "\n", card_file(self._out))


def _plain(origin: Origin) -> dict[str, Any]:
    return origin.model_dump(mode="json")


def _line(candidate: Candidate) -> str:
    beside = {} if candidate.temperature is None else {"temperature": candidate.temperature}
    row = as_json(Chat(candidate.messages)) | {"candidate": candidate.number} | beside
    return json.dumps(row, ensure_ascii=False) + "\n"
