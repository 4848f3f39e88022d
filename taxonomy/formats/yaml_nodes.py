"""YAML text -> nodes, from the parser's events, so that no text is read further than its bounds allow."""

from __future__ import annotations

from typing import Final, NoReturn

import yaml

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.nodes import Builder, Mapping, Node, Scalar, Sequence

_STRING: Final = "tag:yaml.org,2002:str"
_RESOLVERS: Final = yaml.SafeLoader.yaml_implicit_resolvers
_TAGS: Final = {None, "!", _STRING, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}


def read_nodes(text: str, file: str) -> Node | None:
    """The root of the only document; None where the file is empty. Raises TaxonomyInvalid with the line."""
    try:
        return _Reader(file).read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise TaxonomyInvalid(
            [Fault(where, f"not YAML ({error.problem or error.context})", "mend the syntax")]
        ) from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise TaxonomyInvalid([Fault(file, f"not YAML ({what})", "mend the syntax")]) from error


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._builder = Builder(file)
        self._anchored: dict[str, Node] = {}
        self._documents = 0

    def read(self, text: str) -> Node | None:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            self._take(event)
        return self._builder.root

    def _take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.ScalarEvent):
            lines = event.end_mark.line + 2 - line if event.end_mark else 1
            scalar = Scalar(line, event.value, self._is_text(event, line), lines)
            self._anchor(event, scalar)
            self._builder.scalar(scalar)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event.tag, line)
            begun = Sequence(line) if isinstance(event, yaml.SequenceStartEvent) else Mapping(line)
            self._anchor(event, begun)
            self._builder.begin(begun)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._builder.end()
        elif isinstance(event, yaml.AliasEvent):
            node = self._anchored.get(event.anchor or "")
            if node is None:
                self._refuse(line, f"the alias *{event.anchor} has no anchor", "name one that stands above it")
            self._builder.alias(node, line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(line, "a second document begins", "keep one document a file")

    def _is_text(self, event: yaml.ScalarEvent, line: int) -> bool:
        """As YAML 1.1 has it: what is quoted, or looks like no number, truth value, date or null."""
        if event.tag is not None or not event.implicit[0]:
            self._check(event.tag, line)
            return True
        candidates = [*_RESOLVERS.get(event.value[:1], ()), *_RESOLVERS.get(None, ())]
        return not any(pattern.match(event.value) for _, pattern in candidates)

    def _check(self, tag: str | None, line: int) -> None:
        if tag not in _TAGS:
            self._refuse(line, f"the tag {tag!r} has no place in a taxonomy", "remove it")

    def _anchor(self, event: yaml.NodeEvent, node: Node) -> None:
        if event.anchor is not None:
            self._anchored[event.anchor] = node

    def _refuse(self, line: int, what: str, remedy: str) -> NoReturn:
        raise TaxonomyInvalid([Fault(f"{self._file}:{line}", what, remedy)])
