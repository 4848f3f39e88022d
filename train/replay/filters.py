"""Which of a base's own chats are kept, and for what reason each other one is left out."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from serve.engine.completion import Completion
from taxonomy.jsonl import Row, parsed, without_faults
from train.data.chat_formats import Message
from train.data.check import SURE
from train.data.contamination import Benchmarks, Question, questions
from train.data.duplicates import SeenTexts
from train.replay.turns import TurnEnd, Turns

SHORTEST: Final = 8
"""Bytes of a question in UTF-8: `hi` and `Thanks` ask nothing, three characters of Chinese may."""
LOOP_GRAM: Final = 16
LOOP_SHARE: Final = 0.5
LOOP_LENGTH: Final = 120
"""A text of so many characters, of whose 16-grams less than half are distinct, goes round in circles."""
JUDGED_FROM: Final = 200
"""So many characters show their language; a shorter chat may be a sum or a line of code, and is kept."""
UNSURE: Final = "und"
_NO_LANGUAGE: Final = "zxx"
"""The detector's code for what is no language at all."""
_SPACES: Final = "\n\r\t"


class Reason(StrEnum):
    """Why a chat was left out."""

    EMPTY = "empty"
    TOO_SHORT = "too short"
    CUT_OFF = "not ended in time"
    SPECIAL = "special token"
    BROKEN = "broken characters"
    LOOP = "repeats itself"
    NO_ROOM = "no room in the context"
    NO_LANGUAGE = "no language"
    DUPLICATE = "duplicate"
    BENCHMARK = "benchmark question"
    TEST = "test comment"


def fault_of_turn(said: Completion, end: TurnEnd, turns: Turns, shortest: int = 1) -> Reason | None:
    """Why a turn cannot be used, or none. shortest: in bytes of UTF-8."""
    text = said.text.strip()
    is_ended = end.is_met(said.ended_by)
    found = {
        Reason.SPECIAL: (said.ended_by is not None and not is_ended) or turns.spells_special(text),
        Reason.BROKEN: any(_is_broken(character) for character in text),
        Reason.LOOP: is_loop(text),
        Reason.CUT_OFF: not is_ended,
        Reason.EMPTY: not text,
        Reason.TOO_SHORT: len(text.encode()) < shortest,
    }
    return next((reason for reason, holds in found.items() if holds), None)


def is_loop(text: str) -> bool:
    """Whether a text says the same again and again, in any script: by its distinct 16-grams of characters."""
    plain = " ".join(text.casefold().split())
    if len(plain) < LOOP_LENGTH:
        return False
    grams = [plain[at : at + LOOP_GRAM] for at in range(len(plain) - LOOP_GRAM + 1)]
    return len(set(grams)) < LOOP_SHARE * len(grams)


def _is_broken(character: str) -> bool:
    """A byte that became no character, or a control character."""
    return character == "\ufffd" or (unicodedata.category(character) in {"Cc", "Cs", "Cn"} and character not in _SPACES)


class Excluded:
    """What must not be in the chats: a benchmark folder's questions, and test files' comments. digest: of all of it.

    Files are labelled comments, chats or texts, JSONL. Raises CallWrong, DataInvalid, OSError.
    """

    def __init__(self, benchmarks: Path | None, test: Sequence[Path]) -> None:
        asked = list(questions(benchmarks)) if benchmarks else []
        held = [Question(str(file), text) for file in test for row in _rows(file) for text in _texts(row.value)]
        self._questions, self._test = Benchmarks(asked), Benchmarks(held)
        self._alike = SeenTexts()
        for number, question in enumerate(held):
            self._alike.add(str(number), question.text)
        texts = sorted(question.text for question in (*asked, *held))
        self.digest = hashlib.sha256(repr(texts).encode()).hexdigest()[:16] if texts else None

    def reason(self, messages: Iterable[Message]) -> str | None:
        """The kind of what is in a chat that must not be, with the benchmark that asks it, or none."""
        texts = [message.content for message in messages]
        whole = "\n".join(texts)
        if asked := self._questions.found(whole):
            return f"{Reason.BENCHMARK} ({asked[0].benchmark})"
        if self._test.found(whole) or any(self._alike.duplicate("", text) for text in texts):
            return Reason.TEST
        return None


def _rows(file: Path) -> Iterator[Row]:
    return without_faults(parsed(file, lambda row: row))


def _texts(row: dict[str, Any]) -> Iterator[str]:
    """What a person may have said in a row of any kind."""
    for key in ("comment", "text"):
        if isinstance(row.get(key), str):
            yield row[key]
    for message in row.get("messages") or ():
        if isinstance(message, dict) and isinstance(message.get("content"), str):
            yield message["content"]


class ChatFilter:
    """What a chat as a whole is judged by, among those before it. languages: of the chats that were kept."""

    def __init__(self, excluded: Excluded, kept: Iterable[Sequence[Message]]) -> None:
        """kept: the chats that stand there already."""
        self._excluded, self._seen = excluded, SeenTexts()
        self._detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.languages: Counter[str] = Counter()
        for messages in kept:
            self._keep(messages, self._language(messages))

    def reason(self, messages: Sequence[Message]) -> str | None:
        """Why the chat is left out, or none; then it is one of those that the next ones are compared with."""
        language = self._language(messages)
        if language == _NO_LANGUAGE or (language == UNSURE and _length(messages) >= JUDGED_FROM):
            return Reason.NO_LANGUAGE
        if found := self._excluded.reason(messages):
            return found
        if self._seen.duplicate("", _asked(messages)):
            return Reason.DUPLICATE
        self._keep(messages, language)
        return None

    def _keep(self, messages: Sequence[Message], language: str) -> None:
        self._seen.add(str(self.languages.total()), _asked(messages))
        self.languages[language] += 1

    def _language(self, messages: Sequence[Message]) -> str:
        """Of question and answer together; UNSURE where the detector is not sure."""
        language, likely = self._detector.classify("\n".join(message.content for message in messages))
        return str(language) if likely >= SURE else UNSURE


def _length(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def _asked(messages: Sequence[Message]) -> str:
    """Chats of one question are one chat, whatever the answer."""
    return "\n".join(message.content for message in messages if message.role == "user")
