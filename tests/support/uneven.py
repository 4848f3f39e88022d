"""A tree as content taxonomies are: hundreds of leaves at four levels, and labelled comments over it."""

from __future__ import annotations

import random

from taxonomy.comments import LabelledComment, labelled
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of

_SHARES = {1: 0.85, 2: 0.5, 3: 0.35}
"""Of the nodes of a level, those that have children."""
TEXT = "It came late. The app is slow. The picture is blurry. It costs too much. I bought it in May."


def content_tree(seed: int = 0, topics: int = 24) -> Taxonomy:
    """So many top-level topics; the same name may stand under several parents."""
    rng = random.Random(seed)
    names = [f"{kind} {thing}" for kind in ("Home", "Pro", "Outdoor") for thing in ("Audio", "Video", "Care", "Parts")]
    leaves: list[Leaf] = []

    def grow(path: tuple[str, ...]) -> None:
        if rng.random() < _SHARES.get(len(path), 0):
            for name in rng.sample(names, rng.randint(1, 6)):
                grow((*path, name))
        else:
            leaves.append(Leaf(path, f"scope {len(leaves)}", team=f"team {len(leaves) % 5}", workflow="Ticket"))

    for number in range(topics):
        grow((f"Topic {number}",))
    return taxonomy_of(leaves)


def labelled_over(taxonomy: Taxonomy, count: int, seed: int = 0) -> list[LabelledComment]:
    """Each piece of the text is a segment with any leaf, or residue."""
    rng = random.Random(seed)
    comments = []
    for number in range(count):
        parts = [
            Part(piece, rng.choice(taxonomy.leaves).path, "negative") if rng.random() < 0.8 else Part(piece)
            for piece in chunks(f"{number}. {TEXT}")
        ]
        comments.append(labelled(str(number), parts))
    return comments
