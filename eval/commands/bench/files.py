"""What every benchmark does alike: comments in, figures kept, progress said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from taxonomy.comments import read_comments
from taxonomy.files import write_text


def read_texts(file: Path) -> list[str]:
    """The comments of a file, without their labels. Raises DataInvalid."""
    return [comment.comment for comment in read_comments(file)]


def keep(file: Path | None, figures: Any) -> None:
    """Write them as JSON, where a file is named."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(to_jsonable_python(figures), indent=1, ensure_ascii=False) + "\n", file)


def say(line: str) -> None:
    """Progress, for a person."""
    print(line, file=sys.stderr, flush=True)
