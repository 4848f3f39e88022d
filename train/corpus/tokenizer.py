"""The bundled tokenizer: byte-level BPE learned from the corpus, with a ChatML template."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from taxonomy.labels import LEVELS
from taxonomy.language.answer import EMOTION, NEXT, OPEN, RESIDUE

BEGIN, STOP, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

# The JSON between a segment's values is one token each, an escape too; then words, digits and marks with the space
# after them. Cuts stand after white space or marks, so that no token joins the end of one chunk and the beginning of
# the next; and a quote joins nothing before it, so that no token joins the end of a value and what comes after it.
_JSON = [*(f'","{level}":"' for level in LEVELS), EMOTION, OPEN, NEXT, RESIDUE]
_ESCAPE = r"\\(?:u[0-9a-f]{4}|.)"
_WORDS = r"""[\p{L}\p{M}]+(?:['\u2019](?=\p{L})| ?)|\p{N} ?|[^\s\p{L}\p{M}\p{N}"\\]+ ?|"|\s+|\\"""

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def learn_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A tokenizer of exactly `vocabulary` tokens or fewer; every byte is in it, so no text is unknown to it."""
    tokenizer = Tokenizer(BPE())
    json = "|".join(_escaped(piece) for piece in sorted(_JSON, key=len, reverse=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"{json}|{_ESCAPE}|{_WORDS}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, STOP],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=STOP,
        pad_token=PAD,
        chat_template=_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "[]{}()|.*+?^$\\" else char for char in text)
