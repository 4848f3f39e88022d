"""A base's chat template as what it speaks by: where a user begins, and what ends a turn of either.

Magpie (Xu et al. 2024, "Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing"): after what
stands before a user's words, an instruct model writes a user's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from taxonomy.errors import CheckpointInvalid
from taxonomy.language.template import ChatTemplate
from taxonomy.language.tokens import HfTokenizer, Tokens
from train.data.chat_formats import Message


class TurnEnd(NamedTuple):
    """What the template writes after a turn: a special token, or, where it has none there, a text."""

    token: int | None
    text: str | None

    def is_met(self, ended_by: int | str | None) -> bool:
        """Whether it is what ended a completion."""
        return ended_by is not None and ended_by in {self.token, self.text}


class Turns:
    """opening: the tokens before a user's words. user_end, answer_end: what ends a turn. special: control tokens.

    Raises CheckpointInvalid where the template does not say where a turn begins or ends.
    """

    def __init__(self, tokenizer: HfTokenizer) -> None:
        self._tokens, self._template = Tokens(tokenizer), ChatTemplate(tokenizer)
        where = tokenizer.name_or_path or "the tokenizer"
        shown = self._template.chat(["user", "assistant"])
        before, between = (piece.before for piece in shown.pieces)
        self.special = self._tokens.special
        names = (str(tokenizer.backend_tokenizer.id_to_token(token) or "") for token in self.special)
        self._spelled = tuple(sorted(name for name in names if len(name) > 1))
        self.opening = tuple(self._tokens.template(before))
        if not self.opening:
            raise CheckpointInvalid(f"{where}: its chat template writes nothing before a user's words; give `prompts`")
        self.user_end = self._end(between, f"{where}: its chat template writes nothing after a user's words")
        fault = f"{where}: its chat template ends the assistant's turn with no special token"
        self.answer_end = self._end(shown.tail, fault)
        if self.answer_end.token is None:
            raise CheckpointInvalid(fault)

    def asked(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The prompt for the answer to the last of these turns; it is what training reads before that answer.

        Raises CheckpointInvalid where the template has no place for them.
        """
        shown = self._template.chat([*(message.role for message in messages), "assistant"])
        ids: list[int] = []
        for before, turn in shown.pieces:
            ids += self._tokens.template(before)
            ids += self._tokens.text(messages[turn].content) if turn < len(messages) else []
        return tuple(ids)

    def length(self, given: Sequence[Message]) -> int:
        """Tokens of a chat of which these questions are given, up to its last answer, without those before it.

        Raises CheckpointInvalid where the template has no place for them.
        """
        messages = [each for turn in given for each in _with_answer(turn)]
        for end, message in enumerate(messages):
            if message.role == "assistant":
                self._template.chat([before.role for before in messages[: end + 1]])
        return len(self.asked(messages[:-1]))

    def spells_special(self, text: str) -> bool:
        """Whether a control token is written out in a text."""
        return any(name in text for name in self._spelled)

    def _end(self, following: str, fault: str) -> TurnEnd:
        ids = self._tokens.template(following)
        first = next((token for token in ids if token in self.special), None)
        name = "" if first is None else self._tokens.tokenizer.backend_tokenizer.id_to_token(first)
        words = following.partition(name)[0].strip() if name else following.strip()
        if words:
            return TurnEnd(None, words)
        if first is None:
            raise CheckpointInvalid(fault)
        return TurnEnd(first, None)


def _with_answer(turn: Message) -> tuple[Message, ...]:
    """A turn, and where a question is in it an answer with nothing in it."""
    return (turn, Message("assistant", "")) if turn.role == "user" else (turn,)
