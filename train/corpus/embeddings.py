"""Where the embeddings of a model made from scratch begin: words and labels that go together lie together.

The classic word vectors: positive pointwise mutual information of tokens that share a segment (words and labels),
reduced by a truncated SVD. With tied embeddings a model that only averages the words of a segment already leans to
its label; training has less to find.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from taxonomy.comments import LabelledComment
from taxonomy.language.answer import Part, escaped
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import emotion_token, label_token
from taxonomy.language.tokens import Tokens

Matrix = npt.NDArray[np.float32]


def word_vectors(
    comments: Iterable[LabelledComment], tokens: Tokens, form: Form, shape: tuple[int, int], seed: int
) -> Matrix:
    """An array of that shape, (vocabulary, width); tokens that share no segment with others have a row near zero."""
    vocabulary, width = shape
    bag = _own_bag if form is Form.MARKED else _bag
    bags = [bag(part, tokens) for comment in comments for part in comment.parts if part.path]
    rows = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    columns = np.concatenate([np.array(bag, np.int64) for bag in bags])
    counts = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(bags), vocabulary))
    together = (counts.T @ counts).tocoo()
    alone = np.asarray(counts.sum(axis=0)).ravel()
    information = np.log(together.data * len(bags) / (alone[together.row] * alone[together.col]))
    keep = (information > 0) & (together.row != together.col)
    ppmi = sparse.csr_matrix(
        (information[keep], (together.row[keep], together.col[keep])), (vocabulary, vocabulary), np.float32
    )
    svd = TruncatedSVD(width, n_iter=3, random_state=seed)
    vectors: Matrix = svd.fit_transform(ppmi) / np.sqrt(svd.singular_values_)
    return vectors.astype(np.float32)


def _bag(part: Part, tokens: Tokens) -> list[int]:
    """The distinct tokens of a segment: its words as they stand in a comment, and its labels."""
    found = set(tokens.text(part.content))
    for label in (*part.path, part.emotion):
        found.update(tokens.text(escaped(label)))
    return sorted(found)


def _own_bag(part: Part, tokens: Tokens) -> list[int]:
    """The same, where each label is a token of its own."""
    labels = [label_token(part.path[: level + 1]) for level in range(len(part.path))]
    own = (tokens.own(name) for name in (*labels, emotion_token(part.emotion)))
    return sorted({*tokens.text(part.content), *(token for token in own if token is not None)})
