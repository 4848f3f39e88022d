"""README's table of settings, made from the model: `python -m serve.settings_table` writes it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from serve.settings import BUNDLED_CHECKPOINT, Settings
from taxonomy.bundled import BUNDLED_TAXONOMY

README: Final = Path("README.md")
BEGIN: Final = "<!-- Written by `python -m serve.settings_table`. -->\n"
END: Final = "<!-- The end of what it writes. -->\n"


def settings_table() -> str:
    """A row a setting, in Markdown."""
    rows = (
        f"| `{name.upper()}` | {_shown(f.default)} | {f.description} |" for name, f in Settings.model_fields.items()
    )
    return "\n".join(["| name | default | |", "|---|---|---|", *rows, ""])


def with_table(text: str) -> str:
    """A text with the table between the two comments that stand there for it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


def _shown(default: Any) -> str:
    if default in (str(BUNDLED_CHECKPOINT), BUNDLED_TAXONOMY):
        return "the bundled one"
    if default is None:
        return "none"
    return f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
