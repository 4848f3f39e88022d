"""A body -> a JSON document of which all can be sent back; what cannot be is named by its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from serve.http.faults import FieldFault
from taxonomy.errors import RequestInvalid

MOST_DEPTH: Final = 32
_MOST_DIGITS: Final = 300
"""Of a whole number; with more it is no number that any field takes. Python itself refuses to read 4,301."""


class DocumentFaulty(ValueError):
    """A document that cannot be taken as it is; `faults` name the places."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(fault.message for fault in faults))


class _Object(dict[str, Any]):
    """An object, and the keys that stand in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = [key for key, count in counts.items() if count > 1]


def read_document(body: bytes | bytearray) -> Any:
    """The JSON value. Raises RequestInvalid where it is not UTF-8, DocumentFaulty for what else is wrong with it."""
    try:
        document = json.loads(body.decode(), parse_int=_whole, object_pairs_hook=_Object)
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        raise DocumentFaulty([FieldFault("body", f"not JSON: {error.msg} at character {error.pos}")]) from error
    except RecursionError as error:
        raise DocumentFaulty([_TOO_DEEP]) from error
    if faults := list(_faults(document)):
        raise DocumentFaulty(faults)
    return document


_TOO_DEEP: Final = FieldFault("body", f"nested deeper than {MOST_DEPTH} levels")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _faults(document: Any) -> Iterator[FieldFault]:
    """Keys that stand twice, text that is no Unicode, and what lies too deep: all places, outermost first."""
    places: list[tuple[tuple[str, ...], Any]] = [((), document)]
    for place, value in places:  # which grows meanwhile
        if len(place) > MOST_DEPTH:
            yield _TOO_DEEP
            return
        if isinstance(value, str) and (where := _surrogate(value)):
            yield FieldFault(".".join(place) or "body", f"holds {where}; send valid Unicode")
        elif isinstance(value, _Object):
            for key in value.repeated:
                yield FieldFault(".".join((*place, key)), "stands twice")
            for key in value:
                if where := _surrogate(key):
                    yield FieldFault(".".join((*place, key)), f"its name holds {where}; send valid Unicode")
            places += [((*place, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            places += [((*place, str(index)), inner) for index, inner in enumerate(value)]


def _surrogate(text: str) -> str:
    """Where the first lone surrogate is, in words; empty where there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"a lone surrogate at character {error.start}"
    return ""
