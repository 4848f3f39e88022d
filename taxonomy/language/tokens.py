"""Text -> tokens, so that nothing a customer writes is ever a special token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

from tokenizers import Tokenizer


class HfTokenizer(Protocol):
    """What we use of a `transformers` fast tokenizer."""

    @property
    def backend_tokenizer(self) -> Tokenizer: ...
    @property
    def eos_token_id(self) -> int: ...
    @property
    def all_special_ids(self) -> list[int]: ...
    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any: ...


class Tokens:
    """Two ways to tokenise with one vocabulary: our own template text, and text that is only text.

    Raises nothing on any `str` without lone surrogates. `digest` is a hash of all that decides the tokens.
    """

    def __init__(self, tokenizer: HfTokenizer) -> None:
        self.tokenizer = tokenizer
        self.eos: int = tokenizer.eos_token_id
        self._template = tokenizer.backend_tokenizer
        written = self._template.to_str()
        self.digest = hashlib.sha256(f"{self.eos} {written}".encode()).hexdigest()
        spec = json.loads(written)
        # Without its added tokens a tokenizer knows no control token: "<|im_end|>" is a few plain characters to it.
        self._plain = Tokenizer.from_str(json.dumps(spec | {"added_tokens": [], "post_processor": None}))

    @property
    def size(self) -> int:
        """Tokens in the vocabulary, added ones included."""
        return int(self._template.get_vocab_size())

    def template(self, text: str) -> list[int]:
        """Our own text: the chat template's special tokens are recognised."""
        return list(self._template.encode(text, add_special_tokens=False).ids)

    def text(self, text: str) -> list[int]:
        """A customer's text, or a piece of an answer: no special token is recognised."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """`text` of each, in one call."""
        return [list(encoding.ids) for encoding in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]
