"""What a model thought possible of one segment: how probable each team was, and which paths it might have taken.

At every decision about a label an engine tells how likely the other tokens were. One that was not taken leads to leaves
among which nothing was decided any more: its probability is spread over all of them alike. So is what an engine left
untold at a decision, over the leaves behind the tokens that it did not name. Where all leaves behind a token have one
team, the team's probability is exact.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from taxonomy.labels import LabelPath
from taxonomy.language.automaton import CLOSED, ROOT, Automaton
from taxonomy.tree import Leaf, Taxonomy


class Decided(NamedTuple):
    """A decision: the branch where the walk stood, the token taken, log-probabilities of tokens, it among them."""

    branch: int
    token: int
    logprobs: Mapping[int, float]


class PathShare(NamedTuple):
    """A path, its probability, and its team; None where the leaves below it have several.

    Where it ends above a leaf nothing was decided below it, and it stands for all of them.
    """

    path: LabelPath
    probability: float
    team: str | None


@dataclass(frozen=True, slots=True)
class Posterior:
    """teams: of each the probability, 1 together. others: paths that were not taken, the likeliest first."""

    teams: Mapping[str, float]
    others: tuple[PathShare, ...]


class Below(NamedTuple):
    """The leaves behind a token: the labels that they share, and how many there are of each team."""

    path: LabelPath
    teams: Counter[str]

    @property
    def team(self) -> str | None:
        return next(iter(self.teams)) if len(self.teams) == 1 else None


class LeavesBelow:
    """Of each token by which an automaton's answers choose among labels, the leaves behind it."""

    def __init__(self, automaton: Automaton, taxonomy: Taxonomy) -> None:
        self._automaton = automaton
        self._taxonomy = taxonomy
        self._of: dict[int, dict[int, Below]] = {}
        self._visit(ROOT, ())

    def posterior(self, decided: Iterable[Decided], leaf: Leaf) -> Posterior:
        """Of a segment, from the decisions that closed it with this leaf; those on no label say nothing here."""
        teams: defaultdict[str, float] = defaultdict(float)
        paths: defaultdict[LabelPath, float] = defaultdict(float)
        team_of: dict[LabelPath, str | None] = {}
        arrived = 1.0
        for branch, token, logprobs in decided:
            below = self._of.get(branch, {})
            if token not in below:
                continue
            shares = _shares(below, logprobs)
            for other, share in shares.items():
                if other != token:
                    _spread(teams, below[other].teams, arrived * share)
                    paths[below[other].path] += arrived * share
                    team_of[below[other].path] = below[other].team
            untold = [below[other] for other in below if other not in shares]
            if untold:
                left = max(0.0, 1 - sum(shares.values()))
                _spread(teams, sum((each.teams for each in untold), Counter()), arrived * left)
            arrived *= shares[token]
        teams[leaf.team] += arrived
        # A label of several tokens may be left before it is told from another: then no other path is named.
        others = [
            PathShare(path, share, team_of[path]) for path, share in paths.items() if path != leaf.path[: len(path)]
        ]
        return Posterior(teams, tuple(sorted(others, key=lambda other: (-other.probability, other.path))))

    def _visit(self, branch: int, above: tuple[str, ...]) -> Counter[str]:
        """All leaves from a branch on, where these values are named."""
        below = self._of[branch] = {}
        for token, edge in self._automaton.branches[branch].items():
            named = (*above, *edge.named)
            path = named[1:]  # what stands first says that the content is complete
            if path in self._taxonomy:
                below[token] = Below(path, Counter({self._taxonomy.leaf(path).team: 1}))
            elif edge.to != CLOSED:
                below[token] = Below(path, self._visit(edge.to, named))
        return sum((each.teams for each in below.values()), Counter())


def _shares(below: Mapping[int, Below], logprobs: Mapping[int, float]) -> dict[int, float]:
    """Of each token that is told of its probability; together at most 1, and 1 where all are told of.

    At the end of a segment's content one token alone leads to labels; the segment was closed with it.
    """
    told = {token: math.exp(logprob) for token, logprob in logprobs.items() if token in below}
    total = sum(told.values())
    # Rounding in the engine may take them above 1; where all are told of, they are all that there is.
    scale = total if len(told) == len(below) or total > 1 else 1.0
    return {token: share / scale for token, share in told.items()} if scale else dict.fromkeys(told, 1 / len(told))


def _spread(teams: defaultdict[str, float], leaves: Counter[str], probability: float) -> None:
    """Over the leaves alike."""
    for team, count in leaves.items():
        teams[team] += probability * count / leaves.total()
