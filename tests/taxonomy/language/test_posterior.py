"""How probable a segment's team was, of all that the model thought possible."""

from __future__ import annotations

import copy
import math
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.language.automaton import ROOT, Automaton
from taxonomy.language.compiled import chunk_tokens, compiled
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import give_own_tokens
from taxonomy.language.posterior import Decided, LeavesBelow, Posterior
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of
from tests.support.strategies import taxonomies
from tests.support.tokenizers import tokenizer_of_kind

every_form = pytest.mark.parametrize("form", Form)
BY_TOPIC = taxonomy_of(
    [
        *(Leaf(("Delivery", "Late"), team="logistics"), Leaf(("Delivery", "Lately", "Courier"), team="logistics")),
        *(Leaf(("App",), team="web shop"), Leaf(("Camera", "Late", "Late"), team="development")),
        *(Leaf(("Camera", "Late", "Lately"), team="development"), Leaf(("Box", "Lid"), team="logistics")),
        Leaf(("Box", "Late"), team="logistics"),
    ]
)
"""Whatever is decided about the first level decides the team."""
Chances = Mapping[int, Mapping[int, float]]
"""Of each branch the probability of each of its tokens."""


class FakeModel:
    """Of which all probabilities are known, at every branch of an automaton."""

    def __init__(self, taxonomy: Taxonomy, form: Form, seed: int) -> None:
        self.taxonomy = taxonomy
        self.tokens = _tokens(taxonomy, form)
        self.automaton: Automaton = compiled(taxonomy, self.tokens, form)
        rng = random.Random(seed)
        self.chances: Chances = {number: _drawn(branch, rng) for number, branch in enumerate(self.automaton.branches)}

    def decided(self, leaf: Leaf, told: int | None = None) -> list[Decided]:
        """How a segment is closed with this leaf, and what is told: the likeliest tokens beside the one taken."""
        walk = self.automaton.walk(chunk_tokens(["ok"], self.tokens, self.automaton.form))
        decided = []
        while not walk.is_done:
            token = walk.toward(1, (*leaf.path, "negative"))
            chances = self.chances[walk.branch]
            others = sorted(chances.keys() - {token}, key=lambda other: -chances[other])[:told]
            logprobs = {each: math.log(chances[each]) for each in (token, *others)}
            decided.append(Decided(walk.branch, token, logprobs))
            walk.decide(token)
        return decided

    def posterior(self, leaf: Leaf, told: int | None = None) -> Posterior:
        return LeavesBelow(self.automaton, self.taxonomy).posterior(self.decided(leaf, told), leaf)

    def leaves(self) -> dict[tuple[str, ...], float]:
        """Of each leaf the probability, if all answers are asked for it: of those that close a segment with labels."""
        found: dict[tuple[str, ...], float] = defaultdict(float)

        def visit(branch: int, named: tuple[str, ...], probability: float) -> None:
            for token, edge in self.automaton.branches[branch].items():
                path = (*named, *edge.named)[1:]
                reached = probability * self.chances[branch][token]
                if path in self.taxonomy:
                    found[path] += reached
                elif edge.to >= ROOT:
                    visit(edge.to, (*named, *edge.named), reached)

        visit(ROOT, (), 1.0)
        total = sum(found.values())
        return {path: probability / total for path, probability in found.items()}


def _tokens(taxonomy: Taxonomy, form: Form) -> Tokens:
    if form is not Form.MARKED:
        return _plain_tokens()
    tokenizer = copy.deepcopy(tokenizer_of_kind("bundled"))
    give_own_tokens(tokenizer, taxonomy)
    return Tokens(tokenizer)


@cache
def _plain_tokens() -> Tokens:
    return Tokens(tokenizer_of_kind("bundled"))


def _drawn(tokens: Mapping[int, object], rng: random.Random) -> dict[int, float]:
    weights = {token: rng.random() ** 3 + 1e-3 for token in tokens}
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}


@every_form
@given(taxonomy=taxonomies(), seed=st.integers(0, 1000), told=st.none() | st.integers(0, 3))
@settings(max_examples=40)
def test_the_teams_share_all_there_is_however_little_is_told(
    form: Form, taxonomy: Taxonomy, seed: int, told: int | None
) -> None:
    model = FakeModel(taxonomy, form, seed)
    for leaf in taxonomy.leaves:
        posterior = model.posterior(leaf, told)
        assert sum(posterior.teams.values()) == pytest.approx(1)
        assert posterior.teams.keys() <= {each.team for each in taxonomy.leaves}
        assert all(share >= 0 for share in posterior.teams.values())


@every_form
@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_where_what_was_not_taken_has_one_team_the_share_is_the_models_own(form: Form, seed: int) -> None:
    model = FakeModel(BY_TOPIC, form, seed)
    exact: dict[str, float] = defaultdict(float)
    for path, probability in model.leaves().items():
        exact[BY_TOPIC.leaf(path).team] += probability
    for leaf in BY_TOPIC.leaves:
        assert model.posterior(leaf).teams == pytest.approx(exact)


@every_form
@given(taxonomy=taxonomies(), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_a_team_is_at_least_as_probable_as_its_leaf(form: Form, taxonomy: Taxonomy, seed: int) -> None:
    model = FakeModel(taxonomy, form, seed)
    for path, probability in model.leaves().items():
        leaf = taxonomy.leaf(path)
        assert model.posterior(leaf).teams[leaf.team] >= probability - 1e-9


@every_form
@given(taxonomy=taxonomies(), seed=st.integers(0, 1000), moved=st.floats(0, 1))
@settings(max_examples=30)
def test_the_share_does_not_fall_when_another_team_loses_to_the_token_taken(
    form: Form, taxonomy: Taxonomy, seed: int, moved: float
) -> None:
    model = FakeModel(taxonomy, form, seed)
    below = LeavesBelow(model.automaton, taxonomy)
    for leaf in taxonomy.leaves:
        decided = model.decided(leaf)
        before = below.posterior(decided, leaf).teams[leaf.team]
        for at, decision in enumerate(decided):
            for other in decision.logprobs.keys() - {decision.token}:
                if leaf.team in below._of.get(decision.branch, {}).get(other, (None, {}))[1]:
                    continue
                lost = moved * math.exp(decision.logprobs[other])
                kept = {other: math.exp(decision.logprobs[other]) - lost}
                taken = {decision.token: math.exp(decision.logprobs[decision.token]) + lost}
                logprobs = {token: math.log(p) if p > 0 else -math.inf for token, p in (kept | taken).items()}
                changed = [*decided]
                changed[at] = decision._replace(logprobs={**decision.logprobs, **logprobs})
                assert below.posterior(changed, leaf).teams[leaf.team] >= before - 1e-9


@every_form
@pytest.mark.parametrize("told", [None, 0, 1])
def test_a_tree_of_one_team_leaves_no_doubt(form: Form, told: int | None) -> None:
    taxonomy = taxonomy_of(replace(leaf, team="all of it") for leaf in BY_TOPIC.leaves)
    for leaf in taxonomy.leaves:
        assert FakeModel(taxonomy, form, 1).posterior(leaf, told).teams == pytest.approx({"all of it": 1})


@every_form
def test_what_is_untold_or_undecided_is_spread_over_its_leaves_alike(form: Form) -> None:
    taxonomy = taxonomy_of(
        [
            *(Leaf(("App",), team="a"), Leaf(("Box", "x"), team="a"), Leaf(("Box", "y"), team="b")),
            *(Leaf(("Box", "z"), team="b"), Leaf(("Camera",), team="c")),
        ]
    )
    model = FakeModel(taxonomy, form, 3)
    app, box, camera = (
        sum(p for path, p in model.leaves().items() if path[0] == name) for name in ("App", "Box", "Camera")
    )
    app_leaf = taxonomy.leaf(("App",))
    assert model.posterior(app_leaf).teams == pytest.approx({"a": app + box / 3, "b": box * 2 / 3, "c": camera})
    rest = box + camera
    assert model.posterior(app_leaf, 0).teams == pytest.approx({"a": app + rest / 4, "b": rest / 2, "c": rest / 4})


@every_form
@given(taxonomy=taxonomies(), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_the_other_paths_are_others_the_likeliest_first_and_no_more_than_there_is(
    form: Form, taxonomy: Taxonomy, seed: int
) -> None:
    model = FakeModel(taxonomy, form, seed)
    of_leaves = model.leaves()
    for leaf in taxonomy.leaves:
        others = model.posterior(leaf).others
        shares = [other.probability for other in others]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) + of_leaves[leaf.path] <= 1 + 1e-9
        assert len({other.path for other in others}) == len(others)
        for other in others:
            below = [each for each in taxonomy.leaves if each.path[: len(other.path)] == other.path]
            assert below
            assert leaf not in below
            if len(other.path) == len(below[0].path):
                assert other.probability == pytest.approx(of_leaves[other.path])
                assert other.team == below[0].team


@every_form
def test_a_path_that_ends_above_a_leaf_stands_for_all_below_it(form: Form) -> None:
    model = FakeModel(BY_TOPIC, form, 5)
    others = {other.path: other for other in model.posterior(BY_TOPIC.leaf(("App",))).others}
    assert others.keys() == {("Delivery",), ("Camera", "Late"), ("Box",)}
    of_camera = sum(p for path, p in model.leaves().items() if path[0] == "Camera")
    assert others["Camera", "Late"].probability == pytest.approx(of_camera)
    assert others["Camera", "Late"].team == "development"
