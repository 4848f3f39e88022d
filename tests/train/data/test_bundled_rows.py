"""The bundled checkpoint's recipe gives the rows, the order and the exposures that it was trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.language import language_of
from tests.support.tokenizers import tokenizer_of_kind
from train.corpus.generator import Corpus, load_phrasebook
from train.data.customers import exposures
from train.data.encode import encode
from train.data.mixture import batches
from train.recipe import Recipe, load_recipe

# Rows and order as the shipped checkpoint saw them. What a decision is compared with has changed (docs/decisions/009);
# the two are the same with so small a tokenizer, whose tokens begin few others.
DIGEST = "21525c84f294c63d"


def test_the_shipped_recipe_gives_the_rows_that_it_always_gave() -> None:
    recipe = load_recipe(Path("train/recipes/bundled.yaml"))
    assert isinstance(recipe, Recipe)
    tokenizer = tokenizer_of_kind("byte-level")
    taxonomy = bundled_taxonomy()
    comments = list(Corpus(load_phrasebook(), "train", even=recipe.even).comments(200))
    seen = exposures(comments, 300, recipe.optimisation.word_dropout, recipe.seed)
    rows = list(encode(seen, language_of(tokenizer, taxonomy), recipe.loss))
    digest = hashlib.sha256()
    for row in rows:
        digest.update(
            repr((row.tokens.tolist(), row.learned.tolist(), [list(map(int, r)) for r in row.allowed])).encode()
        )
    lengths = np.array([len(row.tokens) for row in rows])
    order = batches(lengths, recipe.optimisation.batch, recipe.seed)
    digest.update(repr([list(map(int, batch)) for batch in order]).encode())
    assert digest.hexdigest()[:16] == DIGEST
