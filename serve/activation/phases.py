"""The way of an activation: its phases, which may follow which, and how long each may take."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Phase(StrEnum):
    """IDLE: no activation is under way. Up to SHIFTING the old pair answers everything; from DRAINING on the new one
    takes what is new. TRYING: the new pair is a candidate on trial, on a share of the requests or on copies of them.
    RETURNING: something failed, or the trial was stopped, and what was begun of the new pair is taken down.

    PAUSING: in place only. What is under way ends on the old pair; what is new waits for SHIFTING or RETURNING.
    """

    IDLE = "idle"
    RESOLVING = "resolving"
    CHECKING = "checking"
    PAUSING = "pausing"
    LOADING = "loading"
    WARMING = "warming"
    VERIFYING = "verifying"
    TRYING = "trying"
    SHIFTING = "shifting"
    DRAINING = "draining"
    RETIRING = "retiring"
    RETURNING = "returning"


NEXT: Final[Mapping[Phase, frozenset[Phase]]] = MappingProxyType(
    {
        Phase.IDLE: frozenset({Phase.RESOLVING}),
        Phase.RESOLVING: frozenset({Phase.CHECKING, Phase.RETURNING}),
        Phase.CHECKING: frozenset({Phase.PAUSING, Phase.LOADING, Phase.RETURNING}),
        Phase.PAUSING: frozenset({Phase.LOADING, Phase.RETURNING}),
        Phase.LOADING: frozenset({Phase.WARMING, Phase.RETURNING}),
        Phase.WARMING: frozenset({Phase.VERIFYING, Phase.RETURNING}),
        Phase.VERIFYING: frozenset({Phase.TRYING, Phase.SHIFTING, Phase.RETURNING}),
        Phase.TRYING: frozenset({Phase.SHIFTING, Phase.RETURNING}),
        Phase.SHIFTING: frozenset({Phase.DRAINING, Phase.RETURNING}),
        # The new pair is verified and serves: there is no way back from here, only through another activation.
        Phase.DRAINING: frozenset({Phase.RETIRING}),
        Phase.RETIRING: frozenset({Phase.IDLE}),
        Phase.RETURNING: frozenset({Phase.IDLE}),
    }
)


ENDS: Final = (
    ("active", Phase.RETIRING),
    ("stopped", Phase.TRYING),
    *(("failed", phase) for phase in Phase if Phase.RETURNING in NEXT[phase]),
)
"""How an activation ends, and in which phase."""


def followed(old: Phase, new: Phase) -> Phase:
    """The new phase. Raises ValueError where the table has no such arrow."""
    if new not in NEXT[old]:
        raise ValueError(f"{old} is not followed by {new}")
    return new


LIMITS_S: Final[Mapping[Phase, float]] = MappingProxyType(
    {
        Phase.RESOLVING: 30,
        Phase.CHECKING: 600,  # every file is hashed
        Phase.PAUSING: 60,
        Phase.LOADING: 1800,
        Phase.WARMING: 300,
        Phase.VERIFYING: 300,
        Phase.TRYING: 14 * 24 * 3600,
        Phase.SHIFTING: 30,
        Phase.DRAINING: 300,
        Phase.RETIRING: 60,
        Phase.RETURNING: 600,  # in place, the old weights are loaded and verified
    }
)
