"""Label Studio's JSON export -> labelled comments.

    [{"id": 1, "data": {"text": "..."}, "annotations": [{"result": [
        {"type": "labels", "value": {"start": 0, "end": 9, "text": "...", "labels": ["L1 > L2 > L3 > L4"]}},
        {"type": "choices", "value": {"choices": ["negative"]}}]}]}]

A label is that of a span (Labels; a Taxonomy or Choices of each region) or of the whole text (a Taxonomy or Choices). A
choice that is an emotion is the emotion of its span, or of all that have none. Offsets are in UTF-16 units or in code
points, by the version that made them: which, the spans' own texts say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from taxonomy.comments import LabelledComment, Span
from taxonomy.jsonl import Row, id_text
from taxonomy.labels import LabelPath
from train.data.label_sources import LabelReading, emotion_of

_READ: Final = frozenset({"labels", "choices", "taxonomy"})


@dataclass
class _Labels:
    """What is said of a span, or of the whole text."""

    paths: list[LabelPath] = field(default_factory=list)
    emotions: list[str] = field(default_factory=list)
    text: str | None = None

    def path(self, where: str) -> LabelPath:
        """The one label. Raises ValueError."""
        deepest = max(self.paths, key=len, default=())
        if not deepest:
            raise ValueError(f"{where} has no label")
        if others := {path for path in self.paths if deepest[: len(path)] != path}:
            raise ValueError(f"{where} has {len(others) + 1} labels; a segment has one")
        return deepest

    def emotion(self, where: str) -> str | None:
        if len(set(self.emotions)) > 1:
            raise ValueError(f"{where} has {len(set(self.emotions))} emotions; a segment has one")
        return self.emotions[0] if self.emotions else None


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether it is a task of the export, or what its shorter form has in place of one."""
    has_task = isinstance(row.get("data"), dict) and not row.keys().isdisjoint({"annotations", "completions"})
    return has_task or _is_short(row)


def _is_short(row: Mapping[str, Any]) -> bool:
    return "annotation_id" in row and "annotator" in row


def comment_of(row: Row, reading: LabelReading) -> LabelledComment | None:
    """A task's comment; None where nobody has labelled it, which is noted. Raises ValueError naming the field."""
    task = row.value
    if _is_short(task):
        raise ValueError("this is Label Studio's JSON-MIN export; export as JSON")
    data = task.get("data")
    if not isinstance(data, dict):
        raise ValueError("data: not an object")  # noqa: TRY004 (the row is wrong, not the caller)
    text = data.get(reading.text_field([name for name, value in data.items() if isinstance(value, str)]))
    if not isinstance(text, str) or not text.strip():
        raise ValueError("data: the comment is empty")
    annotation = _annotation(task)
    if annotation is None:
        reading.notes["tasks that nobody has labelled, left out"] += 1
        return None
    regions, whole = _read(annotation.get("result"), reading)
    id_ = id_text(data.get("id", task.get("id", f"line-{row.line:06d}")))
    return LabelledComment(id_, text, tuple(_spans(text, regions, whole, reading)))


def _annotation(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    given = task.get("annotations", task.get("completions")) or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise ValueError("annotations: not a list of objects")
    kept = [each for each in given if not each.get("was_cancelled")]
    if len(kept) > 1:
        kept = [each for each in kept if each.get("ground_truth")]
        if len(kept) != 1:
            raise ValueError(f"annotations: {len(given)} of one comment; mark one of them as ground truth")
    return kept[0] if kept else None


def _read(results: Any, reading: LabelReading) -> tuple[dict[tuple[int, int], _Labels], _Labels]:
    """What is said of each span, by its offsets as they stand, and of the whole."""
    if not isinstance(results, list):
        raise ValueError("annotations.result: not a list")  # noqa: TRY004
    regions: dict[tuple[int, int], _Labels] = {}
    by_id: dict[str, _Labels] = {}
    whole = _Labels()
    for index, result in sorted(enumerate(results), key=lambda numbered: _is_whole(numbered[1])):
        where = f"result[{index}]"
        if not isinstance(result, dict):
            raise ValueError(f"{where}: not an object")  # noqa: TRY004
        kind, value = str(result.get("type")), result.get("value")
        if kind not in _READ:
            if kind.endswith("labels"):
                raise ValueError(f"{where}: {kind!r}: only spans of plain text (Labels on Text) are read")
            reading.notes[f"results of the type {kind!r}, not read"] += 1
            continue
        if not isinstance(value, dict):
            raise ValueError(f"{where}.value: not an object")  # noqa: TRY004
        if _is_whole(result):
            found = by_id.get(str(result.get("id")), whole)
        else:
            found = regions.setdefault(_offsets(value, where), _Labels())
            found.text = value.get("text") if isinstance(value.get("text"), str) else found.text
            by_id[str(result.get("id"))] = found
        _take(value.get(kind), found, reading, f"{where}.value.{kind}")
    return regions, whole


def _is_whole(result: Any) -> bool:
    return not (isinstance(result, dict) and isinstance(result.get("value"), dict) and "start" in result["value"])


def _offsets(value: Mapping[str, Any], where: str) -> tuple[int, int]:
    start, end = value.get("start"), value.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise ValueError(f"{where}.value: start and end are no span of a text ({start!r} to {end!r})")
    return start, end


def _take(given: Any, found: _Labels, reading: LabelReading, where: str) -> None:
    if not isinstance(given, list):
        raise ValueError(f"{where}: not a list")  # noqa: TRY004
    for label in given:
        if any(isinstance(other, list) and other != label and label == other[: len(label)] for other in given):
            continue  # a Taxonomy may list what stands above a path too
        try:
            if isinstance(label, list):
                found.paths.append(reading.names.path([str(each) for each in label]))
            elif emotion := emotion_of(str(label)):
                found.emotions.append(emotion)
            else:
                found.paths.append(reading.names.named(str(label)))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def _spans(
    text: str, regions: Mapping[tuple[int, int], _Labels], whole: _Labels, reading: LabelReading
) -> Iterable[Span]:
    if not regions:
        if whole.paths:
            yield Span(0, len(text), whole.path("the text"), reading.emotion_or_default(whole.emotion("the text")))
        return
    if whole.paths:
        raise ValueError("result: labels both of spans and of the whole text; keep one kind")
    place = _places(text, regions)
    end = 0
    for offsets in sorted(regions):
        found, where = regions[offsets], f"the span {offsets[0]} to {offsets[1]}"
        span_start, span_end = (place(offset) for offset in offsets)
        if span_start < end:
            raise ValueError(f"{where} overlaps the one before it; segments are apart")
        end = span_end
        emotion = reading.emotion_or_default(found.emotion(where) or whole.emotion("the text"))
        yield Span(span_start, end, found.path(where), emotion)


def _places(text: str, regions: Mapping[tuple[int, int], _Labels]) -> Callable[[int], int]:
    """An offset as it stands -> in code points. Raises ValueError where neither reading fits the spans' texts."""
    widths = (1 + (character > "\uffff") for character in text)
    by_unit = {unit: point for point, unit in enumerate(accumulate(widths, initial=0))}

    def of_units(offset: int) -> int:
        return by_unit.get(offset, -1)

    def of_points(offset: int) -> int:
        return offset if offset <= len(text) else -1

    for place in (of_units, of_points):
        if all(_fits(text, place(start), place(end), found.text) for (start, end), found in regions.items()):
            return place
    raise ValueError("the spans' offsets do not fit their texts; was the comment changed after it was labelled?")


def _fits(text: str, start: int, end: int, given: str | None) -> bool:
    # Line ends in a span's text are written out in some versions.
    held = text[start:end] if 0 <= start < end else ""
    return bool(held) and (given is None or held in (given, given.replace("\\n", "\n")))
