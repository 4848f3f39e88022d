"""A base's chat template, rendered so that what is asked stands in it once, whole and as it was written.

A template is a program of its maker's: it may refuse a system turn or drop it, want content as a list of parts, print
the date, or show a text twice. It is rendered here once for each sequence of roles, with marks in place of the texts.
The texts then go where their marks stood, so that nothing of them depends on the template, and what a checkpoint is
trained on is what it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final, NamedTuple, Protocol

from taxonomy.errors import CheckpointInvalid
from taxonomy.language.tokens import Tokens

DATE: Final = datetime(2024, 7, 26, tzinfo=UTC)
"""What a template that prints the time is told: a prompt must not change from one day to the next."""

_REMEDY: Final = "use another base, or give this one a chat_template.jinja that shows it once, as it is"
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK: Final = re.compile(f"{_OPEN}([0-9]+) [^{_CLOSE}]*{_CLOSE}")
_RENDERINGS: Final = 8
"""So many alike: a template that draws lots has shown it by then."""

Content = str | list[dict[str, str]]
Turn = dict[str, Content]


class HasChatTemplate(Protocol):
    """What we use of a `transformers` tokenizer here. chat_template: text, or texts by name."""

    chat_template: Any
    name_or_path: str

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...


class Piece(NamedTuple):
    """The template's own text before a turn's content, and that turn's number."""

    before: str
    turn: int


class Rendering(NamedTuple):
    """A chat as the template shows it: what stands before each content, in the order shown, and after the last."""

    pieces: tuple[Piece, ...]
    tail: str


class Around(NamedTuple):
    """The tokens before and after a question, up to where the answer begins."""

    before: list[int]
    after: list[int]


class ChatTemplate:
    """A tokenizer's chat template. Raises CheckpointInvalid where there is none to choose."""

    def __init__(self, tokenizer: HasChatTemplate) -> None:
        self._tokenizer = tokenizer
        self._where = tokenizer.name_or_path or "the tokenizer"
        self._text = _chosen(tokenizer.chat_template, self._where)
        self._rendered: dict[tuple[str, ...], Rendering] = {}

    def around(self, tokens: Tokens, system: str | None) -> Around:
        """What stands around a question. system: instructions before it. Raises CheckpointInvalid."""
        roles = ["user"] if system is None else ["system", "user"]
        rendering = self._contracted(roles, is_asked=True)
        before, after = list[int](), list[int]()
        into = before
        for text, turn in rendering.pieces:
            into += tokens.template(text)
            if roles[turn] == "user":
                into = after
            else:
                into += tokens.text(system or "")
        return Around(before, [*after, *tokens.template(rendering.tail)])

    def chat(self, roles: Sequence[str]) -> Rendering:
        """A whole chat. Before its last answer stands what stands there when it is asked. Raises CheckpointInvalid."""
        if (key := tuple(roles)) not in self._rendered:
            self._rendered[key] = self._chat(key)
        return self._rendered[key]

    def _chat(self, roles: Sequence[str]) -> Rendering:
        whole = self._contracted(roles, is_asked=False)
        if roles[-1] != "assistant" or roles[-2:-1] != ("user",):
            return whole
        asked = self._contracted(roles[:-1], is_asked=True)
        return Rendering((*asked.pieces, Piece(asked.tail, len(roles) - 1)), whole.tail)

    def _contracted(self, roles: Sequence[str], *, is_asked: bool) -> Rendering:
        """The first way of asking in which the template shows everything."""
        faults: list[_Fault] = []
        for way in _ways(roles):
            # Of what is wrong with the last way, which asks the least of a template, the most telling is said.
            faults = []
            for turns in _forms(way):
                try:
                    return self._checked(turns, roles, is_asked=is_asked)
                except _Fault as fault:
                    faults.append(fault)
        worst = min(faults, key=lambda fault: fault.rank)
        raise CheckpointInvalid(f"{self._where}: its chat template {worst}; {_REMEDY}")

    def _checked(self, turns: Sequence[Turn], roles: Sequence[str], *, is_asked: bool) -> Rendering:
        shown = self._render(turns, is_asked=is_asked)
        for turn, role in reversed([*enumerate(roles)]):
            what = "the question" if is_asked and role == "user" else f"the {role}'s text"
            count, begun = shown.count(_mark(turn)), shown.count(f"{_OPEN}{turn} ")
            if begun > 1:
                raise _Fault(f"shows {what} {begun} times", rank=0)
            if count < 1:
                raise _Fault(f"changes {what}" if begun else f"does not show {what}", rank=0 if begun else 2)
        rendering = _split(shown)
        spoken = [turn for _, turn in rendering.pieces if roles[turn] != "system"]
        if spoken != sorted(spoken):
            raise _Fault("shows the turns in another order", rank=0)
        if any(self._render(turns, is_asked=is_asked) != shown for _ in range(_RENDERINGS)):
            raise _Fault("is rendered otherwise each time", rank=0)
        return rendering

    def _render(self, turns: Sequence[Turn], *, is_asked: bool) -> str:
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    list(turns),
                    chat_template=self._text,
                    tokenize=False,
                    add_generation_prompt=is_asked,
                    # Where a template offers thinking, an answer under a grammar has no room for it.
                    enable_thinking=False,
                    strftime_now=DATE.strftime,
                )
            )
        except Exception as error:  # a template is a program, and raises whatever it likes
            what = " ".join(str(error).split())[:200] or type(error).__name__
            raise _Fault(f"refuses to be rendered ({what})", rank=1) from error


class _Fault(Exception):
    """What a template does wrong in one way of asking. rank: the lower, the more it tells."""

    def __init__(self, what: str, rank: int) -> None:
        super().__init__(what)
        self.rank = rank


def _chosen(template: Any, where: str) -> str:
    """The template itself, the default one of several, or the only one."""
    if not template:
        raise CheckpointInvalid(f"{where}: its tokenizer has no chat template; use a chat model, which has one")
    if isinstance(template, str):
        return template
    if "default" in template or len(template) == 1:
        return str(template.get("default") or next(iter(template.values())))
    names = ", ".join(sorted(template))
    raise CheckpointInvalid(f"{where}: none of its chat templates ({names}) is the default; name one of them `default`")


def _ways(roles: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Each turn's role and mark: a system turn first; where there is one, then its text in the user's turn."""
    spoken = [(role, _mark(turn)) for turn, role in enumerate(roles)]
    yield spoken
    if "system" in roles:
        yield _folded(spoken)


def _forms(way: Sequence[tuple[str, str]]) -> Iterator[list[Turn]]:
    """Contents as text, as lists of parts, and then as text for some of the roles."""
    present = list(dict.fromkeys(role for role, _ in way))
    for in_parts in sorted(product((False, True), repeat=len(present)), key=lambda chosen: len(set(chosen))):
        form = dict(zip(present, in_parts, strict=True))
        yield [{"role": role, "content": _content(text, in_parts=form[role])} for role, text in way]


def _folded(spoken: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each system turn's text before that of the next turn, which is the user's unless the chat is an odd one."""
    folded: list[tuple[str, str]] = []
    above = ""
    for role, text in spoken:
        if role == "system":
            above += f"{text}\n\n"
        else:
            folded.append((role, above + text))
            above = ""
    return folded


def _content(text: str, *, in_parts: bool) -> Content:
    return [{"type": "text", "text": text}] if in_parts else text


def _mark(turn: int) -> str:
    """Stands for a turn's text; whatever a template might do to a text shows in it."""
    return f'{_OPEN}{turn} Said "<&\'>" \n\n  so.{_CLOSE}'


def _split(shown: str) -> Rendering:
    """What stands around the marks."""
    pieces, start = [], 0
    for found in _MARK.finditer(shown):
        pieces.append(Piece(shown[start : found.start()], int(found[1])))
        start = found.end()
    return Rendering(tuple(pieces), shown[start:])
