"""Small real tokenizers of the kinds that models come with, learned here."""

from __future__ import annotations

from functools import cache
from itertools import islice

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from taxonomy.language.answer import written
from train.corpus.generator import Corpus, load_phrasebook
from train.corpus.tokenizer import PAD, STOP, learn_tokenizer

KINDS = ["bundled", "byte-level", "sentencepiece"]


@cache
def tokenizer_of_kind(kind: str) -> PreTrainedTokenizerFast:
    """bundled: ours; byte-level: every byte a token; sentencepiece: a unigram model with byte fallback."""
    texts = _texts()
    if kind == "bundled":
        return learn_tokenizer(texts, 2000, 4096)
    if kind == "byte-level":
        return learn_tokenizer([], 259, 4096)
    return _sentencepiece(texts)


def _texts() -> list[str]:
    comments = islice(Corpus(load_phrasebook(), "train").comments(300), 300)
    return [text for comment in comments for text in (comment.comment, written(comment.parts))]


def _sentencepiece(texts: list[str]) -> PreTrainedTokenizerFast:
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.UnigramTrainer(vocab_size=1200, special_tokens=[PAD, STOP, *fallback], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learned = tokenizer.get_vocab()
    scores = [(token, -10.0) for token, _ in sorted(learned.items(), key=lambda item: item[1])]
    whole = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    whole.normalizer, whole.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    whole.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    whole.add_special_tokens([PAD, STOP])
    return PreTrainedTokenizerFast(tokenizer_object=whole, eos_token=STOP, pad_token=PAD)
