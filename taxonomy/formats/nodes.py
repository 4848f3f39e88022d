"""The nodes that YAML and JSON text is made of, each with its line; how deep and how many they may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.formats.text import MAX_NODES

MAX_DEPTH: Final = 64
"""Brackets in brackets: four levels of labels need ten."""
_EACH: Final = 16
"""Nodes of the text for each label: its mapping, four texts, their keys, synonyms, aliases."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """is_text: a string, not a number, truth value or null. lines: over which it goes."""

    line: int
    value: str
    is_text: bool
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys may repeat; they stand in the order of the file."""

    line: int
    pairs: list[tuple[Node, Node]] = field(default_factory=list)


Node: TypeAlias = Scalar | Sequence | Mapping


class Builder:
    """Puts nodes together from their beginnings and ends, in the order of the text. file: what faults name."""

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self._file = file
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []
        self._nodes = 0
        self._mappings: dict[int, int] = {}
        """Of each sequence and mapping, the mappings in it, as often as they stand there: a label is a mapping."""

    def scalar(self, node: Scalar) -> None:
        self._add(node, 0, node.line)

    def begin(self, node: Sequence | Mapping) -> None:
        """Raises TaxonomyInvalid where it is nested too deeply."""
        if len(self._open) >= MAX_DEPTH:
            self._refuse(node.line, f"nested over {MAX_DEPTH} levels deep", "a taxonomy has four levels of labels")
        self._open.append(node)
        self._keys.append(None)
        self._mappings[id(node)] = int(isinstance(node, Mapping))

    def end(self) -> None:
        node = self._open.pop()
        self._keys.pop()
        self._add(node, self._mappings[id(node)], node.line)

    def alias(self, node: Node, line: int) -> None:
        """A node that stands in a second place. Raises TaxonomyInvalid where it is a part of itself."""
        if any(node is each for each in self._open):
            self._refuse(line, "an alias that leads into itself", "write the nodes out")
        self._add(node, self._mappings.get(id(node), 0), line)

    def _add(self, node: Node, mappings: int, line: int) -> None:
        self._nodes += 1
        holder = self._open[-1] if self._open else None
        if holder is not None:
            self._mappings[id(holder)] += mappings
            mappings = self._mappings[id(holder)]
        if self._nodes > MAX_NODES * _EACH or mappings > MAX_NODES:
            self._refuse(line, f"over {MAX_NODES:,} labels", "check that it is the right file, and its aliases")
        if holder is None:
            self.root = node
        elif isinstance(holder, Sequence):
            holder.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = node
        else:
            holder.pairs.append((key, node))
            self._keys[-1] = None

    def _refuse(self, line: int, what: str, remedy: str) -> None:
        raise TaxonomyInvalid([Fault(f"{self._file}:{line}", what, remedy)])
