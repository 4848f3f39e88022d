"""JSON text -> nodes with their lines."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.nodes import Builder, Mapping, Node, Scalar, Sequence

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+')


def read_nodes(text: str, file: str) -> Node | None:
    """The root. Raises TaxonomyInvalid with the line of what is no JSON, nests too deeply or holds too much."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"{file}:{error.lineno}"
        raise TaxonomyInvalid([Fault(where, f"not JSON ({error.msg})", "mend the syntax")]) from error
    except ValueError as error:
        raise TaxonomyInvalid([Fault(file, f"not JSON ({error})", "mend the syntax")]) from error
    except RecursionError as error:
        raise TaxonomyInvalid([Fault(file, "nested too deeply", "a taxonomy has four levels of labels")]) from error
    return _nodes(text, file)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it has no {name}")


def _nodes(text: str, file: str) -> Node | None:
    """From text that is known to be JSON, whose values stand between brackets, commas and colons alone."""
    builder, line, at = Builder(file), 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", at, token.start())
        at = token.start()
        match token[0]:
            case "{":
                builder.begin(Mapping(line))
            case "[":
                builder.begin(Sequence(line))
            case "}" | "]":
                builder.end()
            case value if value.startswith('"'):
                builder.scalar(Scalar(line, json.loads(value), is_text=True))
            case value:
                builder.scalar(Scalar(line, value, is_text=False))
    return builder.root
