"""docs/activation.md shows the ways that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yaml

from serve.activation.phases import LIMITS_S, NEXT, Phase
from serve.registry.state import NEXT as NEXT_STATE
from serve.trials.policy import TrialPolicy
from serve.trials.shadow import AT_ONCE

P = TypeVar("P", bound=StrEnum)
PAGE = Path("docs/activation.md").read_text(encoding="utf-8")


def arrows(table: Mapping[P, Iterable[P]]) -> set[tuple[str, str]]:
    return {(str(old), str(new)) for old, after in table.items() for new in after}


def drawn(heading: str) -> set[tuple[str, str]]:
    """The arrows of the diagram under a heading; those from the beginning are not in the tables."""
    diagram = PAGE.split(f"## {heading}")[1].split("```mermaid")[1].split("```")[0]
    return set(re.findall(r"^ +(\w+) --> (\w+)", diagram, re.MULTILINE))


def test_the_way_of_an_activation_is_drawn_as_the_table_has_it() -> None:
    assert drawn("The way of an activation") == arrows(NEXT)


def test_the_states_of_a_checkpoint_are_drawn_as_the_table_has_them() -> None:
    assert drawn("The registry") == arrows(NEXT_STATE)


def test_every_phase_is_described_with_its_limit() -> None:
    limits = re.findall(r"^\| (\w+) \| [^|]+ \| (\d+) \|$", PAGE, re.MULTILINE)
    assert {Phase(name): float(limit) for name, limit in limits} == LIMITS_S


def test_the_usual_policy_is_the_one_that_is_shown() -> None:
    shown = yaml.safe_load(PAGE.split("```yaml")[1].split("```")[0])
    assert TrialPolicy.model_validate(shown) == TrialPolicy()
    assert shown.keys() == TrialPolicy.model_fields.keys()


def test_how_many_copies_run_at_once_is_said() -> None:
    assert f"At most {AT_ONCE} copies" in PAGE
