"""Text -> tokens, so that nothing a customer writes is ever a special token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from tokenizers import Tokenizer

from taxonomy.errors import CheckpointInvalid


class HfTokenizer(Protocol):
    """What we use of a `transformers` fast tokenizer. chat_template: text, or texts by name."""

    chat_template: Any
    name_or_path: str

    @property
    def backend_tokenizer(self) -> Tokenizer: ...
    @property
    def eos_token_id(self) -> int | None: ...
    @property
    def all_special_ids(self) -> list[int]: ...
    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...


class Tokens:
    """Two ways to tokenise with one vocabulary: our own template text, and text that is only text.

    Raises nothing on any `str` without lone surrogates. `digest` is a hash of all that decides the tokens. special:
    the control tokens. Raises CheckpointInvalid where no token ends an answer.
    """

    def __init__(self, tokenizer: HfTokenizer) -> None:
        if tokenizer.eos_token_id is None:
            where = tokenizer.name_or_path or "the tokenizer"
            raise CheckpointInvalid(f"{where}: its tokenizer names no eos_token, so no answer would end; set it there")
        self.tokenizer = tokenizer
        self.eos: int = tokenizer.eos_token_id
        spec = _without_call_settings(json.loads(tokenizer.backend_tokenizer.to_str()))
        written = json.dumps(spec)
        self.digest = hashlib.sha256(f"{self.eos} {written}".encode()).hexdigest()
        # A copy: whoever calls the tokenizer itself with a truncation or a padding leaves them set in it.
        self._template = Tokenizer.from_str(written)
        # Without its added tokens a tokenizer knows no control token: "<|im_end|>" is a few plain characters to it.
        self._plain = Tokenizer.from_str(json.dumps(spec | {"added_tokens": []}))
        added = self._template.get_added_tokens_decoder()
        self.special = frozenset(tokenizer.all_special_ids) | {at for at, token in added.items() if token.special}

    @property
    def size(self) -> int:
        """Tokens in the vocabulary, added ones included."""
        return int(self._template.get_vocab_size())

    @cached_property
    def space_leads(self) -> bool:
        """Whether a space is a part of the word after it, rather than of the word before it."""
        return len(self.text(" so it is")) < len(self.text("so it is "))

    def template(self, text: str) -> list[int]:
        """Our own text: the chat template's special tokens are recognised."""
        return list(self._template.encode(text, add_special_tokens=False).ids)

    def text(self, text: str) -> list[int]:
        """A customer's text, or a piece of an answer: no special token is recognised."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def own(self, name: str) -> int | None:
        """The token of that name which was added to the vocabulary; no text of a customer has it."""
        found = self._template.token_to_id(name)
        return None if found is None else int(found)

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """`text` of each, in one call."""
        return [list(encoding.ids) for encoding in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]


def clear_call_settings(tokenizer: HfTokenizer) -> None:
    """Leave in a tokenizer what its vocabulary is, so that one saved with a checkpoint cuts nobody's text."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = False
    if getattr(backend.model, "dropout", None) is not None:
        backend.model.dropout = None


def _without_call_settings(spec: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer.json without what belongs to a call, or to a training, and not to the vocabulary.

    Such files often keep it from their making: a cut at so many tokens, padding, tokens put around a text, and the
    chance by which BPE leaves out merges.
    """
    model = spec["model"] | ({"dropout": None} if "dropout" in spec["model"] else {})
    return spec | {"truncation": None, "padding": None, "post_processor": None, "model": model}
