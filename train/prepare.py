"""All of a run before its weights: comments, tokenizer, rows on disk, the mixture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tqdm import tqdm
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

from taxonomy.checkpoint.manifest import check_pair, read_manifest, verify
from taxonomy.errors import CallWrong, DataInvalid, RecipeInvalid
from taxonomy.language.answer import written
from taxonomy.language.compiled import compiled
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.choosing.validation import Validation, is_asked, validation
from train.corpus.suite import suite
from train.corpus.tokenizer import learn_tokenizer
from train.data.chats import Chat, ChatRows, chat_of, read_chats
from train.data.check import Report, check
from train.data.customers import Comments, comments_of, exposures
from train.data.encode import Row, encode
from train.data.mixture import Mixture, Source, mixture
from train.data.store import stored
from train.data.texts import Text, read_texts, text_rows
from train.recipe import Recipe, Replay, Texts

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """base: the folder or id that the weights come from, none for a fresh model; origin: what the manifest calls it.

    cpt: the texts, where the recipe has some, as rows of a mixture of their own.
    validation: what candidates are scored on, where the recipe chooses among some.
    context: the longest row that the model takes. reports: what was found in files, by source. skipped: rows left out.
    """

    comments: Comments
    tokenizer: PreTrainedTokenizerFast
    tokens: Tokens
    mixture: Mixture
    cpt: Mixture | None
    validation: Validation | None
    base: str | None
    origin: str | None
    context: int
    reports: dict[str, Report]
    skipped: dict[str, int]


def prepare(recipe: Recipe, folder: Path, say: Say) -> Prepared:
    """Rows are written into `folder`. Raises DataInvalid, CallWrong, CheckpointInvalid, TaxonomyInvalid, OSError."""
    reports: dict[str, Report] = {}
    comments = comments_of(recipe, reports, recipe.choose)
    scored_on = validation(recipe, recipe.choose, comments) if recipe.choose else None
    base, origin = recipe.base or recipe.continue_from, recipe.base
    if recipe.continue_from:
        say(f"going on from {recipe.continue_from}")
        origin = _verified(Path(recipe.continue_from), comments.taxonomy)
    tokenizer = _tokenizer(recipe, comments, base, say)
    tokens = Tokens(tokenizer)
    context = AutoConfig.from_pretrained(base).max_position_embeddings if base else recipe.architecture.context
    say("encoding")
    prompt = Prompt(tokenizer, tokens, comments.taxonomy, PromptStyle.LEARNED)
    total = recipe.optimisation.comments or round((recipe.exposures or 0) * len(comments))
    encoded = _comment_rows(recipe, comments, total, tokens, prompt)
    rows = stored(_within(encoded, context), folder / "comments")
    chat_rows = ChatRows(tokenizer, tokens, context)
    skipped: dict[str, int] = {}
    if recipe.cpt:
        _check_length(recipe.cpt, context)
        reports |= _checked("cpt", recipe.cpt, recipe.cpt.texts, comments.taxonomy, recipe.benchmarks)
    cpt = _texts(recipe.cpt, tokens, recipe.seed, folder / "cpt", skipped) if recipe.cpt else None
    sources = []
    for source in recipe.replay:
        reports |= _checked(source.name, source, source.chats, comments.taxonomy, recipe.benchmarks)
        skipped[source.name] = 0
        made = stored(_replayed(source, chat_rows, recipe, skipped), folder / f"replay-{source.name}")
        sources.append(Source(source.name, made, source.share, source.passes, source.tokens))
    for name, report in reports.items():
        for finding in report.findings():
            say(f"mind: {name}: {finding}")
    mixed = mixture(
        rows,
        sources,
        exposures=total,
        per_epoch=len(comments),
        batch=recipe.optimisation.batch,
        total=recipe.tokens,
        seed=recipe.seed,
    )
    return Prepared(comments, tokenizer, tokens, mixed, cpt, scored_on, base, origin, context, reports, skipped)


def _verified(folder: Path, taxonomy: Taxonomy) -> str:
    """A published checkpoint's id. Raises CheckpointInvalid."""
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_pair(manifest, taxonomy)
    return manifest.version


def _tokenizer(recipe: Recipe, comments: Comments, base: str | None, say: Say) -> PreTrainedTokenizerFast:
    if base is None:
        say("learning the tokenizer")
        shape = recipe.architecture
        return learn_tokenizer(_tokenizer_texts(comments, recipe), shape.vocabulary, shape.context)
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise CallWrong(f"base {base}: no tokenizer can be read: {error}") from error
    if not tokenizer.chat_template:
        raise CallWrong(f"base {base}: its tokenizer has no chat template, so it cannot be asked anything")
    return tokenizer


def _tokenizer_texts(comments: Comments, recipe: Recipe) -> Iterable[str]:
    """Comments and answers as they will be seen, and every label once more: rare ones are to be few tokens too."""
    for comment in comments:
        yield comment.comment
        yield written(comment.parts)
    for leaf in comments.taxonomy.leaves:
        yield from leaf.path
    for source in recipe.replay:
        for chat in _chats(source, recipe):
            if isinstance(chat, Chat):
                yield from (message.content for message in chat.messages)
    for file in recipe.cpt.texts if recipe.cpt else ():
        yield from (text.text for text in read_texts(Path(file)) if isinstance(text, Text))


def _comment_rows(recipe: Recipe, comments: Comments, total: int, tokens: Tokens, prompt: Prompt) -> Iterator[Row]:
    """The rows of every comment, or, where words are left out, of every exposure."""
    dropout = recipe.optimisation.word_dropout
    varied = total if dropout else min(total, len(comments))
    seen = exposures(comments, varied, dropout, recipe.seed)
    automaton = compiled(comments.taxonomy, tokens)
    return encode(tqdm(seen, total=varied, unit=" comments", leave=False), automaton, tokens, prompt, recipe.loss)


def _within(rows: Iterable[Row], context: int) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if len(row.tokens) > context:
            raise DataInvalid(
                f"comment {number}: {len(row.tokens)} tokens with its answer, the context holds {context}"
            )
        yield row


def _checked(
    name: str, source: Replay | Texts, files: Sequence[str] | None, taxonomy: Taxonomy, benchmarks: str | None
) -> dict[str, Report]:
    if not files:
        return {}
    folder = Path(benchmarks) if benchmarks else None
    return {name: check([*map(Path, files)], taxonomy, benchmarks=folder, skip_invalid=source.skip_invalid)}


def _chats(source: Replay, recipe: Recipe) -> Iterator[Chat | DataInvalid]:
    asks_later = recipe.choose is not None and not recipe.choose.general
    if source.suite:
        questions = suite("train", source.suite, recipe.seed, source.kinds or ())
        yield from (chat_of(*each[1:]) for each in questions if not (asks_later and is_asked(each)))
    for file in source.chats or ():
        yield from read_chats(Path(file))


def _replayed(source: Replay, rows: ChatRows, recipe: Recipe, skipped: dict[str, int]) -> Iterator[Row]:
    """Rows of a source; those in error are counted or raised, as the recipe says."""
    for chat in _chats(source, recipe):
        try:
            if isinstance(chat, DataInvalid):
                raise chat
            yield rows.of(chat)
        except DataInvalid:
            if not source.skip_invalid:
                raise
            skipped[source.name] += 1


def _check_length(source: Texts, context: int) -> None:
    if source.length > context:
        raise RecipeInvalid(f"cpt.length: {source.length} tokens, the context holds {context}")


def _texts(source: Texts, tokens: Tokens, seed: int, folder: Path, skipped: dict[str, int]) -> Mixture:
    """The texts' rows, as often as the recipe says. Raises DataInvalid where there is no text."""
    rows = stored(_text_rows(source, tokens, skipped), folder)
    if not len(rows):
        raise DataInvalid(f"{source.texts[0]}: there is no text in it that can be used")
    total = round(source.passes * len(rows))
    return mixture(rows, [], exposures=total, per_epoch=len(rows), batch=source.batch, total=None, seed=seed)


def _text_rows(source: Texts, tokens: Tokens, skipped: dict[str, int]) -> Iterator[Row]:
    """Those in error are counted or raised, as the recipe says."""
    skipped["cpt"] = 0
    for text in chain.from_iterable(read_texts(Path(file)) for file in source.texts):
        if not isinstance(text, DataInvalid):
            yield from text_rows(text, tokens, source.length)
        elif source.skip_invalid:
            skipped["cpt"] += 1
        else:
            raise text
