"""The tokens that the form `marked` has of its own: one a label, an emotion, and what stands around them.

A label's token is named by its whole path, so that a taxonomy that changes keeps the tokens of what stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from tokenizers import AddedToken

from taxonomy.errors import CheckpointInvalid
from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language.forms import Form
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END: Final = "<|end|>"
"""Stands after the comment's last chunk."""
RESIDUE: Final = "<|residue|>"
"""Closes a segment without labels."""
FEEDBACK: Final = "<|feedback|>"
"""Stands before the labels of a segment that has some."""


def label_token(path: LabelPath) -> str:
    """The name of the token of a label."""
    return f"<|label:{' > '.join(path)}|>"


def emotion_token(emotion: str) -> str:
    """The name of the token of an emotion."""
    return f"<|emotion:{emotion}|>"


def own_tokens(taxonomy: Taxonomy) -> dict[str, str]:
    """The name of each token, and the text that it stands for."""
    emotions = {emotion_token(emotion): emotion for emotion in EMOTIONS}
    labels = {label_token(path): path[-1] for path in labelled_nodes(taxonomy)}
    return {END: "end", RESIDUE: "nothing", FEEDBACK: "about"} | emotions | labels


def labelled_nodes(taxonomy: Taxonomy) -> Iterator[LabelPath]:
    """The path of every node of the taxonomy."""
    waiting: list[LabelPath] = [()]
    while waiting:
        below = [(*path, label) for path in [waiting.pop()] for label in taxonomy.children(path)]
        yield from below
        waiting += below


def give_own_tokens(tokenizer: PreTrainedTokenizerFast, taxonomy: Taxonomy) -> None:
    """Add those that it lacks; a tokenizer that was given some for an earlier taxonomy keeps them."""
    known = tokenizer.get_vocab()
    lacking = [name for name in own_tokens(taxonomy) if name not in known]
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in lacking], special_tokens=True)


def found(names: Iterable[str], tokens: Tokens) -> dict[str, tuple[int, ...]]:
    """The token of each name, as a run. Raises CheckpointInvalid where the tokenizer has not all of them."""
    runs = {name: tokens.own(name) for name in names}
    lacking = [name for name, token in runs.items() if token is None]
    if lacking:
        others = f" and {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise CheckpointInvalid(
            f"the tokenizer has no token {lacking[0]}{others}, which the form {Form.MARKED} asks for; "
            "train the checkpoint on this taxonomy"
        )
    return {name: (token,) for name, token in runs.items() if token is not None}
