"""What is wrong with a request's fields, in words of our own that are always fit to be sent back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

MOST_FAULTS: Final = 20
"""Faults that a problem lists; the others are counted."""
_LONGEST_NAME: Final = 200
_NAMELESS: Final = '""'
_KEY: Final = "[key]"
"""What pydantic puts behind a key that is itself at fault."""

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is no field of this request",
    "string_type": "is not text",
    "string_too_short": "is empty",
    "string_too_long": "has over {max_length} characters",
    "too_long": "has over {max_length} entries",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a number",
    "greater_than": "is not over {gt:g}",
    "less_than_equal": "is over {le:g}",
}
"""By the type that pydantic gives an error; what is not here keeps pydantic's own words."""


class FieldFault(NamedTuple):
    """A field by its place in the body (`metadata.author`), and what is wrong with it."""

    field: str
    message: str


def field_faults(errors: Sequence[Mapping[str, Any]]) -> list[FieldFault]:
    """What pydantic says of a body, in its order; the body as a whole is called `body`."""
    return list(_field_faults(errors))


def _field_faults(errors: Sequence[Mapping[str, Any]]) -> Iterator[FieldFault]:
    for error in errors:
        *place, last = error["loc"] or ("body",)
        words = _WORDS.get(error["type"], error["msg"]).format_map(error.get("ctx", {}))
        if last == _KEY and place:
            yield FieldFault(".".join(map(str, place)), f"its name {words}")
        else:
            yield FieldFault(".".join(map(str, (*place, last))), words)


def sendable(text: str, longest: int | None = None) -> str:
    """Text that came with a request as it may be sent back: in UTF-8, where a lone surrogate stands as its escape."""
    kept = text.encode(errors="backslashreplace").decode()
    return kept if longest is None or len(kept) <= longest else kept[:longest] + "..."


def listed(faults: Sequence[FieldFault]) -> list[FieldFault]:
    """The first of them, each fit to be sent."""
    return [
        FieldFault(sendable(fault.field, _LONGEST_NAME) or _NAMELESS, sendable(fault.message))
        for fault in faults[:MOST_FAULTS]
    ]


def in_a_line(faults: Sequence[FieldFault]) -> str:
    """All of them, those that are not listed by their number."""
    more = [f"and {len(faults) - MOST_FAULTS} more"] * (len(faults) > MOST_FAULTS)
    return "; ".join([*(f"{fault.field}: {fault.message}" for fault in listed(faults)), *more])
