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
from taxonomy.language.answer import escaped
from taxonomy.language.tokens import Tokens

Matrix = npt.NDArray[np.float32]


def word_vectors(comments: Iterable[LabelledComment], tokens: Tokens, vocabulary: int, width: int, seed: int) -> Matrix:
    """An array (vocabulary, width); tokens that share no segment with others have a row near zero."""
    bags = [_bag(content, labels, tokens) for content, labels in _segments(comments)]
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


def _segments(comments: Iterable[LabelledComment]) -> list[tuple[str, tuple[str, ...]]]:
    return [(part.content, (*part.path, part.emotion)) for comment in comments for part in comment.parts if part.path]


def _bag(content: str, labels: tuple[str, ...], tokens: Tokens) -> list[int]:
    """The distinct tokens of a segment: its words as they stand in a comment, and its labels."""
    found = set(tokens.text(content))
    for label in labels:
        found.update(tokens.text(escaped(label)))
    return sorted(found)
