"""Random files by mutation of good ones: none may end in a traceback, run on, or lose a leaf without a word.

Each label of a good file begins with a mark of its own (N12x). The check of leaves is a second, naive reading of the
mutated file, by lines and patterns and no parser: the last mark of each row, and that of each `name` of a tree, must
stand in the last label of a node that was read, unless a fault is named.

    python -m tests.taxonomy.formats.mutations [FILES_OF_EACH_FORMAT] [SEED]
"""

from __future__ import annotations

import io
import random
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.errors import CallWrong, TaxonomyInvalid
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.tree import Leaf, Note, Taxonomy, taxonomy_of

FORMATS: Final = (".csv", ".tsv", ".xlsx", ".yaml", ".json")
MOST_SECONDS: Final = 2.0
_MARK: Final = re.compile(r"N\d+x")
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORDS: Final = ("Late", "Parcel", "Übel", "夜", "Отказ", "refund", "it's", "a & b")
_TOKENS: Final = (
    '"', "'", ",", ";", "\t", "\n", "\r\n", "\r", " ", "\u00a0", "\u200b", "\ufeff", "\x00", "\\", "{", "}", "[", "]",
    ":", "- ", "#", "&a ", "*a", "|", ">", "!!python/name:os ", "<", "</c>", "&amp;", "&x;", "<!DOCTYPE a>", "0",
    "1e400", "NaN", "\\ud800", "L1", "name", "children", "=", "<f>A1</f>", "sep=;", "---\n", "\x1a", "é", "😀",
)  # fmt: skip


class Outcome(NamedTuple):
    """kind: read, fault, or what must not be: traceback, slow, lost."""

    kind: str
    detail: str = ""


def good(rng: random.Random) -> Taxonomy:
    """Every label of its own, so that one is never taken for another; paths of one to four labels."""
    count = 0

    def label() -> str:
        nonlocal count
        count += 1
        return f"N{count}x {rng.choice(_WORDS)}"

    leaves: list[Leaf] = []
    notes: dict[tuple[str, ...], Note] = {}

    def grow(path: tuple[str, ...]) -> None:
        if len(path) == 4 or (path and rng.random() < 0.3):
            scope = rng.choice(["", "it came late", 'a "quoted" one, with a comma', "x; y"])
            synonyms = ("delay", "zu spät") if rng.random() < 0.2 else ()
            leaves.append(Leaf(path, scope, synonyms, rng.choice(["", "logistics", "care"]), ""))
            return
        if path and rng.random() < 0.3:
            notes[path] = Note("an area")
        for _ in range(rng.randint(1, 3)):
            grow((*path, label()))

    grow(())
    return taxonomy_of(leaves, notes)


def written(taxonomy: Taxonomy, ending: str, rng: random.Random, folder: Path) -> bytes:
    """A good file; workbooks with shared texts as well as without."""
    file = folder / f"good{ending}"
    save_taxonomy(taxonomy, file)
    data = file.read_bytes()
    return with_shared_texts(data) if ending == ".xlsx" and rng.random() < 0.5 else data


def with_shared_texts(workbook: bytes) -> bytes:
    """The same workbook as spreadsheets write it: cells refer to texts by number (openpyxl writes them out)."""
    texts: list[str] = []

    def shared(found: re.Match[str]) -> str:
        texts.append(found[2])
        return f'<c {found[1]}t="s"><v>{len(texts) - 1}</v></c>'

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as parts, zipfile.ZipFile(out, "w") as new:
        for name in parts.namelist():
            text = parts.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                text = re.sub(r'<c ([^>]*)t="inlineStr"><is>(.*?)</is></c>', shared, text)
            if name != "xl/sharedStrings.xml":
                new.writestr(name, text)
        items = "".join(f"<si>{text}</si>" for text in texts)
        new.writestr("xl/sharedStrings.xml", f'<?xml version="1.0"?><sst xmlns="{_MAIN}">{items}</sst>')
    return out.getvalue()


def mutated(data: bytes, ending: str, rng: random.Random) -> bytes:
    if ending != ".xlsx" or rng.random() < 0.15:
        return _bytes_mutated(data, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as parts, zipfile.ZipFile(out, "w") as new:
        likely = [name for name in parts.namelist() if "sheet" in name or "Strings" in name] or parts.namelist()
        chosen = rng.choice(likely if rng.random() < 0.8 else parts.namelist())
        for name in parts.namelist():
            part = parts.read(name)
            new.writestr(name, _bytes_mutated(part, rng) if name == chosen else part)
    return out.getvalue()


def _bytes_mutated(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 1, 2, 8, 60])
        piece = data[at : at + length]
        token = rng.choice(_TOKENS).encode("utf-8")
        data = rng.choice(
            [
                data[:at] + token + data[at:],
                data[:at] + token + data[at + length :],
                data[:at] + data[at + length :],
                data[:at] + piece + data[at:],
                data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
                _lines_swapped(data, rng),
                data[:at] + token * rng.choice([2, 200]) + data[at:],
                data[:at],
            ]
        )
    return data


def _lines_swapped(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def outcome(file: Path, ending: str) -> Outcome:
    """What becomes of a file when it is read."""
    started = time.perf_counter()
    try:
        taxonomy = load_taxonomy(file)
    except (TaxonomyInvalid, CallWrong) as error:
        str(error).encode("utf-8")
        found = Outcome("fault", str(error))
    except Exception as error:  # noqa: BLE001 (what is looked for)
        return Outcome("traceback", repr(error))
    else:
        found = _compared(taxonomy, _NAIVE[ending](file.read_bytes()))
    took = time.perf_counter() - started
    return Outcome("slow", f"{took:.1f} s") if took > MOST_SECONDS else found


def _compared(taxonomy: Taxonomy, expected: list[str]) -> Outcome:
    nodes = {leaf.path[:depth] for leaf in taxonomy.leaves for depth in range(1, len(leaf.path) + 1)}
    if lost := Counter(expected) - Counter(mark for path in nodes for mark in set(_MARK.findall(path[-1]))):
        return Outcome("lost", str(sorted(lost)))
    return Outcome("read")


def _mark_of(labels: list[str]) -> list[str]:
    """Of the last label in a row, where the mutation has left it one."""
    last = next((label for label in reversed(labels) if label.strip(' "')), "")
    return _MARK.findall(last)[-1:]


def _naive_table(delimiter: str) -> Callable[[bytes], list[str]]:
    def marks(data: bytes) -> list[str]:
        lines = data.decode("utf-8-sig", "replace").replace("\r", "\n").split("\n")
        at = next((at for at, line in enumerate(lines) if re.search(r"\bL\s*1\b", line)), 0)
        depth = len(re.findall(r"\bL\s*[1-4]\b", lines[at]))
        return [mark for line in lines[at + 1 :] for mark in _mark_of(line.split(delimiter)[:depth])]

    return marks


def _naive_workbook(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode("utf-8", "replace")
        shared = b"".join(parts.read(name) for name in parts.namelist() if name == "xl/sharedStrings.xml")
    texts = re.findall(r"<si>(.*?)</si>", shared.decode("utf-8", "replace"), re.DOTALL)
    marks = []
    for row in re.findall(r"<row\b[^>]*>(.*?)</row>", sheet, re.DOTALL):
        labels = ["", "", "", ""]
        for column, attributes, content in re.findall(r'<c\s+r="([A-D])\d+"([^>/]*)>(.*?)</c>', row, re.DOTALL):
            text = re.sub(r"<[^>]*>", "", content)
            is_shared = 't="s"' in attributes and text.isdigit() and int(text) < len(texts)
            labels[ord(column) - ord("A")] = re.sub(r"<[^>]*>", "", texts[int(text)]) if is_shared else text
        marks += _mark_of(labels)
    return marks


def _naive_yaml(data: bytes) -> list[str]:
    text = re.sub(r"(^|\s)#.*", "", data.decode("utf-8-sig", "replace"))
    names = re.findall(r"^[ \t]*(?:- )?[ \t]*name:[ \t]+([^\n]*)$", text, re.MULTILINE)
    return [mark for name in names for mark in _mark_of([name])]


def _naive_json(data: bytes) -> list[str]:
    names = re.findall(r'"name"\s*:\s*"([^"]*)"', data.decode("utf-8-sig", "replace"))
    return [mark for name in names for mark in _mark_of([name])]


_NAIVE: Final[dict[str, Callable[[bytes], list[str]]]] = {
    ".csv": _naive_table(","),
    ".tsv": _naive_table("\t"),
    ".xlsx": _naive_workbook,
    ".yaml": _naive_yaml,
    ".json": _naive_json,
}


def study(ending: str, count: int, seed: int, folder: Path) -> Counter[str]:
    """How many files of a format ended how; those that end as none may are kept in the folder."""
    rng = random.Random(f"{ending} {seed}")
    outcomes: Counter[str] = Counter()
    data = b""
    for number in range(count):
        if number % 10 == 0:
            data = written(good(rng), ending, rng, folder)
        file = folder / f"{number}{ending}"
        file.write_bytes(mutated(data, ending, rng))
        found = outcome(file, ending)
        outcomes[found.kind] += 1
        if found.kind in {"read", "fault"}:
            file.unlink()
        else:
            print(f"{file}: {found.kind}: {found.detail}", file=sys.stderr)
    return outcomes


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    folder = Path(tempfile.mkdtemp(prefix="mutations-"))
    bad = 0
    for ending in FORMATS:
        started = time.perf_counter()
        outcomes = study(ending, count, seed, folder)
        bad += sum(outcomes[kind] for kind in outcomes if kind not in {"read", "fault"})
        shown = ", ".join(f"{number} {kind}" for kind, number in sorted(outcomes.items()))
        print(f"{ending}: {shown} ({time.perf_counter() - started:.0f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
