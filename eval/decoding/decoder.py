"""Decoding without a serving engine: greedy answers of transformers' weights, many at once.

For weights that are still in training. Comments are decoded under the automaton that serves, one pass a decision; what
a checkpoint scores in service is measured through the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

from eval.scoring.predictions import Prediction, Segment
from taxonomy.language.automaton import Walk
from taxonomy.language.chunks import chunks
from taxonomy.language.language import Language
from taxonomy.language.prompt import ChatPrompt
from taxonomy.language.tokens import Tokens

Watch = Callable[[int], object]
"""Told how many more are done."""

Choose = Callable[[torch.Tensor], int]
"""Which of the allowed tokens, by the log-probability of each."""


def likeliest(logprobs: torch.Tensor) -> int:
    """The greedy choice."""
    return int(logprobs.argmax())


def drawn(logprobs: torch.Tensor) -> int:
    """A sample, by torch's seed."""
    return int(torch.multinomial(logprobs.exp(), 1))


@dataclass(frozen=True)
class Decoder:
    """Weights, and the language of what they are asked and answer."""

    model: PreTrainedModel
    language: Language

    def predict(
        self, comments: Sequence[tuple[str, str]], *, at_once: int = 32, watch: Watch = bool
    ) -> list[Prediction]:
        """Of each (id, comment), in their order. Raises ValueError for a comment without text."""
        pieces = [chunks(comment) for _, comment in comments]
        asked = [self.language.prompt.of(cut) for cut in pieces]
        walks = [self.language.walk(cut) for cut in pieces]
        # Those of like length together: the shorter are padded to the longest.
        order = sorted(range(len(comments)), key=lambda i: len(asked[i]))
        for start in range(0, len(order), at_once):
            chosen = order[start : start + at_once]
            decide(self.model, [asked[i] for i in chosen], [walks[i] for i in chosen])
            watch(len(chosen))
        return [
            Prediction(name, tuple(segments(cut, walk)))
            for (name, _), cut, walk in zip(comments, pieces, walks, strict=True)
        ]


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[str],
    *,
    longest: int = 64,
    at_once: int = 64,
    watch: Watch = bool,
) -> list[str]:
    """Free answers to questions, of up to so many tokens each, in their order."""
    tokens = Tokens(tokenizer)
    prompt = ChatPrompt(tokenizer, tokens)
    asked = [prompt.of(text) for text in questions]
    outputs = [""] * len(asked)
    order = sorted(range(len(asked)), key=lambda i: len(asked[i]))
    for start in range(0, len(order), at_once):
        chosen = order[start : start + at_once]
        for i, ids in zip(chosen, _continued(model, [asked[i] for i in chosen], tokens.eos, longest), strict=True):
            outputs[i] = tokenizer.decode(ids, skip_special_tokens=True)
        watch(len(chosen))
    return outputs


@torch.inference_mode()
def decide(
    model: PreTrainedModel, prompts: Sequence[list[int]], walks: Sequence[Walk], choose: Choose = likeliest
) -> list[list[int]]:
    """Walk each to its end; gives the answers' tokens. A pass takes a decided token with those forced after it."""
    cache = _Held(model)
    answers = [list(walk.forced) for walk in walks]
    going, runs = (
        list(range(len(walks))),
        [[*prompt, *outputs] for prompt, outputs in zip(prompts, answers, strict=True)],
    )
    while kept := [row for row, i in enumerate(going) if not walks[i].is_done]:
        if len(kept) < len(going):
            cache.keep(kept)
            going, runs = [going[row] for row in kept], [runs[row] for row in kept]
        logits = cache.after(runs)
        runs = [_decided(walks[i], row, choose) for i, row in zip(going, logits, strict=True)]
        for i, run in zip(going, runs, strict=True):
            answers[i] += run
    return answers


def _decided(walk: Walk, logits: torch.Tensor, choose: Choose) -> list[int]:
    allowed = walk.allowed
    among = torch.log_softmax(logits[list(allowed)].float(), dim=0)
    chosen = choose(among)
    return [allowed[chosen], *walk.decide(allowed[chosen], float(among[chosen]))]


@torch.inference_mode()
def _continued(model: PreTrainedModel, prompts: Sequence[list[int]], stop: int, longest: int) -> list[list[int]]:
    cache = _Held(model)
    outputs: list[list[int]] = [[] for _ in prompts]
    going, runs = list(range(len(prompts))), list(prompts)
    for _ in range(longest):
        best = cache.after(runs).argmax(dim=-1).tolist()
        kept = [row for row, token in enumerate(best) if token != stop]
        for row in kept:
            outputs[going[row]].append(best[row])
        if not kept:
            break
        if len(kept) < len(going):
            cache.keep(kept)
        going, runs = [going[row] for row in kept], [[best[row]] for row in kept]
    return outputs


class _Held:
    """What a model has read of several rows: keys and values, with gaps where a row was shorter than another."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._seen: torch.Tensor | None = None

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        chosen = torch.tensor(rows, device=self._model.device)
        self._cache.batch_select_indices(chosen)
        self._seen = None if self._seen is None else self._seen[chosen]

    def after(self, runs: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read on, one run a row; gives the logits (rows, vocabulary) after the last token of each."""
        width = max(map(len, runs))
        tokens = torch.zeros(len(runs), width, dtype=torch.long)
        fresh = torch.zeros_like(tokens)
        for row, run in enumerate(runs):
            # To the right, so that every row's last token is in the last column.
            tokens[row, width - len(run) :] = torch.tensor(run)
            fresh[row, width - len(run) :] = 1
        tokens, fresh = tokens.to(self._model.device), fresh.to(self._model.device)
        seen = fresh if self._seen is None else torch.cat([self._seen, fresh], dim=1)
        positions = (seen.cumsum(dim=1) - 1).clamp(min=0)[:, -width:]
        self._seen = seen
        result = self._model(
            input_ids=tokens,
            attention_mask=seen,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = result.logits[:, -1]
        return logits


def segments(pieces: Sequence[str], walk: Walk) -> Iterator[Segment]:
    """What a walk that is done has decided about the comment cut into these pieces."""
    first = start = 0
    for closing in walk.closings:
        end = start + sum(map(len, pieces[first : closing.chunks]))
        if closing.named:
            *path, emotion = closing.named
            yield Segment(start, end, tuple(path), emotion)
        first, start = closing.chunks, end
