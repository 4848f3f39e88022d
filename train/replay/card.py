"""The data card of a base's own chats, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from taxonomy.files import write_text
from taxonomy.jsonl import without_faults
from train.data.chats import read_chats
from train.replay.output import Card, card_file

_SHOWN: Final = 5
"""Chats that the page shows."""


def write_page(card: Card, out: Path) -> Path:
    """Write the page beside the card's JSON, with the first chats of the file. Raises OSError."""
    page = card_file(out).with_suffix(".md")
    write_text("\n".join([*_lines(card, out), *_samples(out)]) + "\n", page)
    return page


def summary(card: Card) -> str:
    """One line a finding."""
    return "\n".join(f"{name}: {value}" for name, value in _figures(card))


def _figures(card: Card) -> Iterator[tuple[str, str]]:
    yield "chats", str(card.kept)
    yield "tried", str(card.tried)
    for name, count in sorted(card.left_out.items(), key=lambda item: (-item[1], item[0])):
        yield f"left out, {name}", str(count)
    for name, tally in card.temperatures.items():
        yield f"temperature {name}", f"{tally.kept} of {tally.tried} kept"
    yield "languages", ", ".join(f"{code} {count}" for code, count in card.languages.items()) or "-"


def _lines(card: Card, out: Path) -> Iterator[str]:
    origin, sampling = card.origin, card.origin.sampling
    yield from ("# Data card", "")
    asks = "its answers to given prompts" if origin.prompts else "its own questions and answers"
    yield f"{out.name}: what the base `{card.base}` says by itself, {asks}."
    yield from ("", "| | |", "|---|---|")
    for name, value in _figures(card):
        yield f"| {name} | {value} |"
    yield f"| base, digest | {origin.base_digest} |"
    yield f"| engine | {card.engine} |"
    yield f"| seed | {origin.seed} |"
    yield f"| temperature of answers, top-p | {sampling.answer_temperature:g}, {sampling.top_p:g} |"
    yield f"| tokens of a question, of an answer | up to {sampling.question_tokens}, up to {sampling.answer_tokens} |"
    yield f"| prompts, digest | {origin.prompts or '-'} |"
    yield f"| kept out (benchmarks, test comments), digest | {origin.excluded or 'nothing'} |"


def _samples(out: Path) -> Iterator[str]:
    yield from ("", "## The first chats")
    for chat in islice(without_faults(read_chats(out)), _SHOWN):
        yield ""
        for message in chat.messages:
            yield from (f"**{message.role}**", "", *(f"> {line}" for line in message.content.splitlines()), "")
