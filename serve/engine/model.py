"""What an engine is given to decide by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxonomy.labels import CheckpointId
from taxonomy.language.automaton import Automaton


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint's weights, and the language of the answers that they decide.

    path: a directory or hub id. adapter: a directory in PEFT's format; then its weights are added to those at `path`.
    automaton: that language in tokens, which stands compiled in `automaton_file`.
    """

    checkpoint: CheckpointId
    path: str
    automaton: Automaton
    automaton_file: Path
    adapter: str | None = None
