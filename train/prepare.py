"""All of a run before its weights: comments, tokenizer, rows on disk, the mixture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from eval.general.suite import Question
from taxonomy.checkpoint.manifest import check_pair, read_manifest, verify
from taxonomy.errors import CheckpointInvalid, DataInvalid
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.answer import written
from taxonomy.language.forms import Form
from taxonomy.language.language import Language, language_of
from taxonomy.language.own_tokens import give_own_tokens, own_tokens
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.base import base_context, base_tokenizer
from train.choosing.validation import Validation, is_asked, validation
from train.corpus.tokenizer import learn_tokenizer
from train.data.chats import Chat, ChatRows
from train.data.check import DataReport
from train.data.customers import Comments, WithScopes, comments_of, exposures
from train.data.encode import TrainingRow, encode
from train.data.mixture import Mixture, ReplaySource, mixture
from train.data.sources import StoredSource, StoredTexts, replayed_chats, stored_replay, stored_texts, within
from train.data.store import stored
from train.data.texts import Text, read_texts
from train.loop.session import Say
from train.recipe_parts import DataPart, Replay, StartPart


@dataclass(frozen=True)
class Prepared:
    """base: the folder or id that the weights come from, none for a fresh model; origin: what the manifest calls it.

    cpt: the texts, where the recipe has some, as rows of a mixture of their own.
    validation: what candidates are scored on, where the recipe chooses among some.
    own_tokens: of the answers' form alone.
    context: the longest row that the model takes. reports: what was found in files, by source. skipped: rows left out.
    """

    comments: Comments
    tokenizer: PreTrainedTokenizerFast
    language: Language
    own_tokens: tuple[int, ...]
    mixture: Mixture
    cpt: Mixture | None
    validation: Validation | None
    base: str | None
    origin: str | None
    context: int
    reports: dict[str, DataReport]
    skipped: dict[str, int]


def prepare(data: DataPart, start: StartPart, folder: Path, say: Say) -> Prepared:
    """Rows are written into `folder`. Raises DataInvalid, CallWrong, CheckpointInvalid, TaxonomyInvalid, OSError."""
    comments, report = comments_of(data.corpus, even=data.even, benchmarks=data.benchmarks, choosing=data.choose)
    scored_on = validation(data.choose, comments, _suite_seed(data)) if data.choose else None
    comments = WithScopes(comments) if data.scopes else comments
    origin = _origin(start, comments.taxonomy, say)
    tokenizer = _tokenizer(start, comments, data, say)
    if data.form is Form.MARKED:
        give_own_tokens(tokenizer, comments.taxonomy)
    language, context = language_of(tokenizer, comments.taxonomy, data.form), _context(start)
    tokens = language.tokens
    say("encoding")
    seen = data.comments_seen(len(comments))
    _check_room(language.prompt, context)
    rows = stored(within(_comment_rows(comments, seen, data, language), context), folder / "comments")
    texts = _texts(data, tokens, context, comments.taxonomy, folder)
    encoder = ChatRows(tokenizer, tokens, context)
    replay = [(each, _replay(each, data, encoder, comments, folder)) for each in data.replay]
    reports = _reports(
        [("comments", report), ("cpt", texts and texts.report), *((s.name, r.report) for s, r in replay)]
    )
    for name, found in reports.items():
        for finding in found.findings():
            say(f"mind: {name}: {finding}")
    mixed = mixture(
        rows,
        [ReplaySource(each.name, made.rows, each.share, each.passes, each.tokens) for each, made in replay],
        exposures=seen,
        per_epoch=len(comments),
        batch=data.batch,
        total=data.tokens,
        seed=data.seed,
    )
    return Prepared(
        comments=comments,
        tokenizer=tokenizer,
        language=language,
        own_tokens=_own_tokens(data.form, comments.taxonomy, tokens),
        mixture=mixed,
        cpt=texts and texts.mixture,
        validation=scored_on,
        base=start.weights,
        origin=origin,
        context=context,
        reports=reports,
        skipped=({"cpt": texts.skipped} if texts else {}) | {each.name: made.skipped for each, made in replay},
    )


def _suite_seed(data: DataPart) -> int | None:
    return data.seed if any(source.suite for source in data.replay) else None


def _reports(found: Iterable[tuple[str, DataReport | None]]) -> dict[str, DataReport]:
    """Those of sources that have files."""
    return {name: report for name, report in found if report}


def _own_tokens(form: Form, taxonomy: Taxonomy, tokens: Tokens) -> tuple[int, ...]:
    names = own_tokens(taxonomy) if form is Form.MARKED else ()
    return tuple(token for name in names if (token := tokens.own(name)) is not None)


def _origin(start: StartPart, taxonomy: Taxonomy, say: Say) -> str | None:
    """What the manifest calls the base."""
    if start.continue_from is None:
        return start.base
    say(f"going on from {start.continue_from}")
    manifest = read_manifest(Path(start.continue_from))
    verify(Path(start.continue_from), manifest)
    check_pair(manifest, load_taxonomy(start.trained_on) if start.trained_on else taxonomy)
    if manifest.form is not start.form:
        raise CheckpointInvalid(
            f"{start.continue_from} answers in the form {manifest.form}, the recipe asks for {start.form}; give "
            f"`form: {manifest.form}`"
        )
    return manifest.version


def _context(start: StartPart) -> int:
    """The longest row that the model takes, in tokens."""
    if start.weights is None:
        return start.architecture.context
    return base_context(start.weights)


def _check_room(prompt: Prompt, context: int) -> None:
    """Raises CheckpointInvalid where what stands around a comment fills the context before there is one."""
    asked = len(prompt.of([]))
    if asked >= context:
        raise CheckpointInvalid(
            f"the prompt takes {asked} tokens without a comment, the context holds {context}; start from a base with "
            "a longer one"
        )


def _tokenizer(start: StartPart, comments: Comments, data: DataPart, say: Say) -> PreTrainedTokenizerFast:
    if start.weights is None:
        say("learning the tokenizer")
        shape = start.architecture
        return learn_tokenizer(_tokenizer_texts(comments, data), shape.vocabulary, shape.context)
    return base_tokenizer(start.weights)


def _tokenizer_texts(comments: Comments, data: DataPart) -> Iterator[str]:
    """Comments and answers as they will be seen, and every label once more: rare ones are to be few tokens too."""
    for comment in comments:
        yield comment.comment
        yield written(comment.parts)
    for leaf in comments.taxonomy.leaves:
        yield from leaf.path
    for source in data.replay:
        for chat in _chats(source, data):
            if isinstance(chat, Chat):
                yield from (message.content for message in chat.messages)
    for file in data.cpt.texts if data.cpt else ():
        yield from (text.text for text in read_texts(Path(file)) if isinstance(text, Text))


def _comment_rows(comments: Comments, seen: int, data: DataPart, language: Language) -> Iterator[TrainingRow]:
    """The rows of every comment, or, where words are left out, of every exposure."""
    varied = seen if data.word_dropout else min(seen, len(comments))
    shown = exposures(comments, varied, data.word_dropout, data.seed)
    return encode(shown, language, data.loss)


def _chats(source: Replay, data: DataPart) -> Iterator[Chat | DataInvalid]:
    return replayed_chats(source, data.seed, is_asked if data.holds_out_questions else _none)


def _none(_: Question) -> bool:
    """Where no question of the suite is asked later, none is held out."""
    return False


def _texts(data: DataPart, tokens: Tokens, context: int, taxonomy: Taxonomy, folder: Path) -> StoredTexts | None:
    if data.cpt is None:
        return None
    return stored_texts(
        data.cpt,
        tokens,
        folder / "cpt",
        context=context,
        seed=data.seed,
        taxonomy=taxonomy,
        benchmarks=data.benchmarks,
    )


def _replay(source: Replay, data: DataPart, encoder: ChatRows, comments: Comments, folder: Path) -> StoredSource:
    return stored_replay(
        source,
        _chats(source, data),
        encoder,
        folder / f"replay-{source.name}",
        taxonomy=comments.taxonomy,
        benchmarks=data.benchmarks,
    )
