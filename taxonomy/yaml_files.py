"""A YAML file that people write, read into a pydantic model: every fault is one line with file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from taxonomy.errors import CallWrong, RouteFeedbackError

M = TypeVar("M", bound=BaseModel)
Location = Sequence[int | str]
_LIKENESS: Final = 0.5
"""Least likeness (difflib's ratio) of a known key that is offered for an unknown one."""


def read_model(file: Path, model: type[M], error: type[RouteFeedbackError] = CallWrong) -> M:
    """The file's content, checked. Raises `error` with one line that names file, line, key and what is wrong."""
    return read_document(file, error).checked(model, error)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's content (empty where the file is), and where each key stands."""

    file: Path
    content: dict[str, Any]
    root: yaml.Node | None

    def checked(self, model: type[M], error: type[RouteFeedbackError] = CallWrong) -> M:
        """Raises `error` naming every fault in one line."""
        try:
            return model.model_validate(self.content)
        except ValidationError as invalid:
            faults = "; ".join(self.fault(fault, model) for fault in invalid.errors(include_url=False))
            raise error(faults) from invalid

    def fault(self, fault: ErrorDetails, model: type[BaseModel]) -> str:
        """One of pydantic's errors on this content, as `file:line: key: what is wrong`."""
        line, keys = self._found(fault["loc"])
        where = f"{self.file}:{line}" if keys and line else str(self.file)
        return ": ".join([where, *([".".join(keys)] if keys else []), message(fault, model)])

    def _found(self, location: Location) -> tuple[int | None, list[str]]:
        """The line of the key, and the keys that lead there (pydantic's location names members of unions too)."""
        node, line = self.root, None
        keys: list[str] = []
        for at, part in enumerate(location):
            if (below := _below(node, part)) is not None:
                (line, node), keys = below, [*keys, str(part)]
            elif at == len(location) - 1 and isinstance(node, yaml.MappingNode):
                keys = [*keys, str(part)]  # a key that is not there, in the mapping that misses it
                line = line or node.start_mark.line + 1
        return line, keys


def read_document(file: Path, error: type[RouteFeedbackError] = CallWrong) -> Document:
    """The file as a mapping that is not checked yet. Raises `error` with one line that names file, line and fault."""
    text = _text(file, error)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeats(root)
        content = {} if root is None else _constructed(root)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise error(f"{file}{line}: not YAML: {_one_line(broken.problem or broken.context or broken)}") from broken
    except yaml.reader.ReaderError as broken:
        before = text.count("\n", 0, broken.position)
        raise error(f"{file}:{before + 1}: not YAML: {_one_line(broken.reason)}") from broken
    except _Refused as refused:
        raise error(f"{file}:{refused}") from refused
    except RecursionError as deep:
        raise error(f"{file}: nested too deeply") from deep
    except ValueError as odd:  # a date or number that looks like one and is none
        raise error(f"{file}: {_one_line(odd)}") from odd
    if not isinstance(content, dict):
        raise error(f"{file}: it holds no keys with values (a YAML mapping)")
    return Document(file, content, root)


def message(fault: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, in one line; an unknown key comes with the nearest of those that are known there."""
    if fault["type"] == "extra_forbidden":
        like = nearest(str(fault["loc"][-1]), _known(model, fault["loc"][:-1]))
        return f"unknown key{f'; did you mean {like!r}?' if like else ''}"
    return _one_line(fault["msg"].removeprefix("Value error, "))


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key that is most like this one; None where none is like it."""
    return next(iter(difflib.get_close_matches(key, list(known), n=1, cutoff=_LIKENESS)), None)


class _Refused(Exception):
    """YAML that we do not take; the text begins with the line."""


def _text(file: Path, error: type[RouteFeedbackError]) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as missing:
        raise error(f"there is no file {file}") from missing
    except UnicodeDecodeError as odd:
        line = odd.object.count(b"\n", 0, odd.start) + 1
        raise error(f"{file}:{line}: not UTF-8; save it as UTF-8") from odd
    except (OSError, ValueError) as failed:  # ValueError: a name with a null character
        what = failed.strerror if isinstance(failed, OSError) else None
        raise error(f"{file}: cannot be read ({what or failed})") from failed


def _refuse_repeats(root: yaml.Node | None) -> None:
    """Raises _Refused where a key stands twice in one mapping, or where a node holds itself."""
    done: set[int] = set()

    def visit(node: yaml.Node, above: frozenset[int]) -> None:
        if id(node) in above:
            raise _Refused(f"{node.start_mark.line + 1}: an alias that leads into itself")
        if id(node) in done:
            return
        if isinstance(node, yaml.MappingNode):
            _refuse_duplicates(node)
        for child in _children(node):
            visit(child, above | {id(node)})
        done.add(id(node))

    if root is not None:
        visit(root, frozenset())


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in first:
            raise _Refused(f"{line}: {_one_line(key.value)}: the key stands in line {first[key.value]} too")
        first[key.value] = line


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _constructed(root: yaml.Node) -> Any:
    """The node's value. The marks of its keys stay: merging (`<<`) puts the merged ones in front."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _below(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    """The line and the value of a mapping's key or a sequence's item."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    if isinstance(node, yaml.MappingNode):
        # The last one counts: what was merged in stands before the mapping's own keys.
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key.start_mark.line + 1, value
    return None


def _known(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that may stand at a location of a model."""
    found: list[Any] = [model]
    for part in location:
        found = [below for annotation in found for below in _annotations_below(annotation, part)] or found
    return [name for at in found for model_there in _models(at) for name in _names(model_there)]


def _annotations_below(annotation: Any, part: int | str) -> list[Any]:
    return [
        field.annotation
        for model in _models(annotation)
        for name, field in model.model_fields.items()
        if part in {name, field.alias}
    ]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type is made of: itself, members of a union, items, values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
