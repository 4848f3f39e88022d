"""All that passes between a model and the service: what is asked about a comment, and the answers that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taxonomy.language.answer import Part
from taxonomy.language.automaton import Automaton, Walk
from taxonomy.language.compiled import TokenizedAnswer, chunk_tokens, compiled, tokenized_answer
from taxonomy.language.forms import Form
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import HfTokenizer, Tokens
from taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Language:
    """Of one taxonomy, in one tokenizer's tokens and one form of answers. pieces: a comment's chunks, everywhere."""

    tokens: Tokens
    prompt: Prompt
    automaton: Automaton

    @property
    def form(self) -> Form:
        return self.automaton.form

    def chunk_tokens(self, pieces: Sequence[str]) -> list[list[int]]:
        """The chunks as they stand in an answer."""
        return chunk_tokens(pieces, self.tokens, self.form)

    def walk(self, pieces: Sequence[str]) -> Walk:
        """The answers to a comment. Raises ValueError where it has no chunks."""
        return self.automaton.walk(self.chunk_tokens(pieces))

    def answer(self, pieces: Sequence[str], parts: Sequence[Part]) -> TokenizedAnswer:
        """One of them. Raises ValueError as `tokenized_answer` does."""
        return tokenized_answer(pieces, parts, self.automaton, self.tokens)


def language_of(
    tokenizer: HfTokenizer, taxonomy: Taxonomy, form: Form = Form.VERBATIM, style: PromptStyle = PromptStyle.LEARNED
) -> Language:
    """Raises CheckpointInvalid where the tokenizer's template or its tokens do not serve for it."""
    tokens = Tokens(tokenizer)
    return Language(tokens, Prompt(tokenizer, tokens, taxonomy, style, form), compiled(taxonomy, tokens, form))
