"""Recording what a checkpoint decides, and proving that an engine decides so: the same tokens, as surely."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from serve.routing.router import Router
from taxonomy.checkpoint.fingerprint import Fingerprint, Probe
from taxonomy.errors import EngineFailed, FingerprintDiffers
from taxonomy.language.automaton import Automaton

PROBES: Final = (
    "It came late, and the app crashes.",
    "I bought it in May. The picture at night is blurry, and nobody answered my three emails.",
    "Love it! Set up in five minutes, the battery lasts for weeks.",
    "Der Kurier hat das Paket über den Zaun geworfen! Nachts ist das Bild unscharf.",
    "Refund still not here after two weeks. Cancel my subscription.",
    "La cámara se desconecta del wifi cada noche.",
    "ok",
    "It keeps telling me about the neighbour's cat; I switched the alerts off, and now it records nothing at all.",
)
LEAST_PROBES: Final = 4

# The one place for these numbers; what was measured is in docs/activation.md. Float32 repeats to 1.1e-6 in any batch;
# in bfloat16 rounding itself moved a log-probability by 0.038.
_EXACT: Final[Mapping[str, float]] = MappingProxyType({"float32": 1e-3})
_WIDE: Final = 5e-2
"""Of 16 bits, and between two kinds: another device, or another dtype."""


def tolerance(recorded_on: str, served_on: str) -> float:
    """How far a decision's log-probability may lie from what was recorded, between two kinds of engine."""
    return _EXACT.get(served_on.rpartition("/")[2], _WIDE) if recorded_on == served_on else _WIDE


def language_of(automaton: Automaton) -> str:
    """A hash of the answers that there are, in tokens."""
    branches = [[[token, *edge] for token, edge in branch.items()] for branch in automaton.branches]
    return _hash([automaton.begin, automaton.next, automaton.end, branches])


async def record(router: Router, comments: Sequence[str] = PROBES) -> Fingerprint:
    """Decode each comment alone, then all together. Those that are then decided otherwise are left out.

    Raises EngineFailed where too few are left.
    """
    alone = [await _probed(router, comment) for comment in comments]
    together = await asyncio.gather(*(_probed(router, comment) for comment in comments))
    steady = [(one, other) for one, other in zip(alone, together, strict=True) if one.tokens == other.tokens]
    if len(steady) < min(LEAST_PROBES, len(comments)):
        raise EngineFailed(f"only {len(steady)} of {len(comments)} probes are decided alike twice; no fingerprint")
    spread = max(abs(x - y) for one, other in steady for x, y in zip(one.logprobs, other.logprobs, strict=True))
    return Fingerprint(
        taxonomy=router.pair.taxonomy.version,
        language=language_of(router.pair.automaton),
        recorded_on=router.engine_kind,
        spread=spread,
        probes=tuple(one for one, _ in steady),
    )


async def verify(router: Router, fingerprint: Fingerprint) -> float:
    """The largest difference of a log-probability. Raises FingerprintDiffers, naming the first thing that differs."""
    name, taxonomy = router.pair.checkpoint, router.pair.taxonomy.version
    if fingerprint.taxonomy != taxonomy:
        raise FingerprintDiffers(f"{name}: recorded with taxonomy {fingerprint.taxonomy}, this one is {taxonomy}")
    if fingerprint.language != language_of(router.pair.automaton):
        raise FingerprintDiffers(f"{name}: the labels are other tokens than when it was recorded: another tokenizer")
    allowed = tolerance(fingerprint.recorded_on, router.engine_kind)
    largest = 0.0
    for number, probe in enumerate(fingerprint.probes, 1):
        found = await _probed(router, probe.comment)
        if fault := _fault(probe, found, allowed):
            raise FingerprintDiffers(f"{name}: probe {number} of {len(fingerprint.probes)}: {fault}")
        largest = max([largest, *map(abs, _differences(probe, found))])
    return largest


async def _probed(router: Router, comment: str) -> Probe:
    task, decoded = await router.decoded(comment)
    asked = _hash([task.prompt, task.chunk_tokens])
    return Probe(comment=comment, asked=asked, tokens=decoded.tokens, logprobs=decoded.logprobs)


def _fault(probe: Probe, found: Probe, allowed: float) -> str:
    """What differs, in words; empty where nothing does."""
    if found.asked != probe.asked:
        return "the engine is asked other tokens than when it was recorded: another prompt or tokenizer"
    if found.tokens != probe.tokens:
        pairs = zip(probe.tokens, found.tokens, strict=False)
        at = next(
            (i for i, (one, other) in enumerate(pairs) if one != other), min(len(probe.tokens), len(found.tokens))
        )
        return f"decision {at + 1} is not the recorded one"
    for at, difference in enumerate(_differences(probe, found), 1):
        if not abs(difference) <= allowed:  # a NaN is no small difference
            return f"decision {at} is off by {difference:+.3g} in log-probability, {allowed:g} is allowed"
    return ""


def _differences(probe: Probe, found: Probe) -> list[float]:
    return [y - x for x, y in zip(probe.logprobs, found.logprobs, strict=True)]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]
