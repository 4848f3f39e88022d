"""The prompt: what a checkpoint is asked, for those that learned the taxonomy and for those that must read it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from taxonomy.labels import EMOTIONS, LEVELS
from taxonomy.language.forms import Form
from taxonomy.language.template import ChatTemplate
from taxonomy.language.tokens import HfTokenizer, Tokens
from taxonomy.tree import Taxonomy

_VERSIONS: Final = {Form.VERBATIM: "route/1", Form.MARKED: "route/2"}

LEARNED_SYSTEM: Final = "Route the comment."


def prompt_version(form: Form) -> str:
    """Changes with every change of the text below; a checkpoint answers only the prompt that it was trained on."""
    return _VERSIONS[form]


class PromptStyle(StrEnum):
    """LEARNED: the checkpoint knows the taxonomy. IN_CONTEXT: any base model; the taxonomy is in the prompt."""

    LEARNED = "learned"
    IN_CONTEXT = "in_context"


class Prompt:
    """Makes the token prompt of a comment. What stands before the comment is the same for all (a shared prefix).

    Raises CheckpointInvalid where the chat template does not show instructions and comment, each once and whole.
    """

    def __init__(
        self,
        tokenizer: HfTokenizer,
        tokens: Tokens,
        taxonomy: Taxonomy,
        style: PromptStyle,
        form: Form = Form.VERBATIM,
    ) -> None:
        if style is PromptStyle.IN_CONTEXT and form is not Form.VERBATIM:
            raise ValueError(f"a model that reads the taxonomy in its prompt answers in the form {Form.VERBATIM} alone")
        system = LEARNED_SYSTEM if style is PromptStyle.LEARNED else _instructions(taxonomy)
        self.style = style
        self._form = form
        self._tokens = tokens
        self._before, self._after = ChatTemplate(tokenizer).around(tokens, system)

    def of(self, pieces: Sequence[str]) -> list[int]:
        """The token ids, for a comment cut into chunks; the comment's part holds no special token of its own.

        In the form `marked` the comment stands in the answer, so that the prompt ends where the user begins to speak.
        """
        if self._form is Form.MARKED:
            return [*self._before]
        return [*self._before, *self._tokens.text("".join(pieces)), *self._after]


class ChatPrompt:
    """Makes the token prompt of a general question: a chat of one turn, without a system message.

    Raises CheckpointInvalid as `Prompt` does.
    """

    def __init__(self, tokenizer: HfTokenizer, tokens: Tokens) -> None:
        self._tokens = tokens
        self._before, self._after = ChatTemplate(tokenizer).around(tokens, system=None)

    def of(self, question: str) -> list[int]:
        """The token ids; the question's part holds no special token."""
        return [*self._before, *self._tokens.text(question), *self._after]


def _instructions(taxonomy: Taxonomy) -> str:
    levels = LEVELS[: taxonomy.depth]
    fields = ", ".join(f'"{name}"' for name in (*levels, "emotion"))
    lines = [" > ".join(leaf.path) + (f": {leaf.description}" if leaf.description else "") for leaf in taxonomy.leaves]
    return (
        "You sort customer comments. Cut the comment into segments, one issue each, that together are the whole "
        "comment, copied exactly. Answer with a JSON array, one object a segment, in order. A segment with feedback "
        f'has "content", {fields}; the labels are one path of the list below and the emotion is one of '
        f'{", ".join(EMOTIONS)}. A segment without feedback has only "content".\n'
        f"The paths ({' > '.join(levels)}: scope):\n" + "\n".join(lines)
    )
