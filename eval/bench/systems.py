"""What `bench speed` compares: vLLM as it comes, under two constraints; Outlines; our engine; our HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import httpx
import torch
from outlines.types import CFG
from transformers import AutoModelForCausalLM

from serve.engine.vllm.plain import PlainEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import PREFIX, Settings
from serve.start import engine_options_of, start_router
from taxonomy.errors import CallWrong, EngineFailed
from taxonomy.labels import EMOTIONS, LEVELS, emotion_named
from taxonomy.language.answer import Part, joined_residue, read
from taxonomy.language.chunks import chunks
from taxonomy.language.forms import Form
from taxonomy.language.grammar import grammar, label_rules
from taxonomy.tree import Taxonomy

MAX_TOKENS: Final = 2048
"""What an answer may take where nothing bounds it: the natural JSON schema lets white space run on."""
READY: Final = "ready at "


@dataclass(frozen=True, slots=True)
class SystemAnswer:
    """The answer's parts, or None where it is none; if known, how many tokens were decoded one by one for it, and
    whether they are the tokens in which training writes this answer.
    """

    parts: tuple[Part, ...] | None
    steps: int | None = None
    canonical: bool | None = None


class System(Protocol):
    """Answers comments, as many at once as it is given."""

    async def answer(self, comment: str) -> SystemAnswer: ...


def natural_schema(taxonomy: Taxonomy) -> str:
    """JSON Schema as one would write it: a segment is free text with one of the taxonomy's paths, or without."""
    content: dict[str, object] = {"content": {"type": "string"}}
    branches = [_object(content)]
    for leaf in taxonomy.leaves:
        labels: dict[str, object] = {level: {"const": label} for level, label in zip(LEVELS, leaf.path, strict=False)}
        branches.append(_object(content | labels | {"emotion": {"enum": list(EMOTIONS)}}))
    return json.dumps({"type": "array", "items": {"anyOf": branches}})


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class PlainVllm:
    """vLLM's AsyncLLM with nothing of ours in it; `grammar` or the natural schema constrains, token by token."""

    def __init__(self, pair: Pair, settings: Settings, *, by_schema: bool) -> None:
        self._pair = pair
        self._reference = Reference(pair)
        self._schema = natural_schema(pair.taxonomy) if by_schema else None
        backend = "auto" if by_schema else "guidance"
        self._engine = PlainEngine(pair.model.path, engine_options_of(settings), backend=backend)

    async def answer(self, comment: str) -> SystemAnswer:
        pieces = chunks(comment)
        prompt = self._pair.prompt.of(pieces)
        if self._schema:
            answer = await self._engine.answer(prompt, MAX_TOKENS, schema=self._schema)
        else:
            rules = self._reference.grammar(pieces).definition
            answer = await self._engine.answer(prompt, MAX_TOKENS, grammar=rules)
        parts = self._reference.parts(answer.text)
        canonical = None if parts is None else _is_canonical(self._pair, pieces, parts, answer.token_ids)
        return SystemAnswer(parts and joined_residue(parts), len(answer.token_ids), canonical)

    def close(self) -> None:
        self._engine.close()


class Reference:
    """The reference grammar of a pair's comments, and its answers. Raises CallWrong where they are no text."""

    def __init__(self, pair: Pair) -> None:
        if (form := pair.language.form) is not Form.VERBATIM:
            raise CallWrong(f"answers of the form {form} are no text; compare with a checkpoint of another form")
        self._rules = label_rules(pair.taxonomy)

    def grammar(self, pieces: Sequence[str]) -> CFG:
        """Of the answers to a comment cut into these chunks."""
        return grammar(pieces, self._rules)

    @staticmethod
    def parts(text: str) -> tuple[Part, ...] | None:
        """Of an answer; None where it is none."""
        try:
            return read(text)
        except (ValueError, KeyError, TypeError, IndexError):
            return None


def _is_canonical(pair: Pair, pieces: Sequence[str], parts: Sequence[Part], ids: Sequence[int]) -> bool | None:
    try:
        canonical = pair.language.answer(pieces, parts).tokens
    except ValueError:
        return None
    return [token for token in ids if token != pair.tokens.eos] == canonical[:-1]


class OutlinesTransformers:
    """Outlines' own generator under the reference grammar, on transformers: one comment at a time."""

    def __init__(self, pair: Pair) -> None:
        import outlines  # noqa: PLC0415 (seconds, and for this system alone)

        self._pair = pair
        self._reference = Reference(pair)
        model = AutoModelForCausalLM.from_pretrained(pair.model.path, dtype=torch.float32)
        self._model = outlines.from_transformers(model, pair.tokens.tokenizer)
        self._turn = asyncio.Lock()

    async def answer(self, comment: str) -> SystemAnswer:
        async with self._turn:
            return await asyncio.to_thread(self._generate, comment)

    def _generate(self, comment: str) -> SystemAnswer:
        from outlines import Generator  # noqa: PLC0415

        pieces = chunks(comment)
        prompt = self._pair.tokens.tokenizer.backend_tokenizer.decode(
            self._pair.prompt.of(pieces), skip_special_tokens=False
        )
        generator = Generator(self._model, self._reference.grammar(pieces), backend="llguidance")
        parts = self._reference.parts(generator(prompt, max_new_tokens=MAX_TOKENS, do_sample=False))
        return SystemAnswer(parts and joined_residue(parts))


class OwnEngine:
    """Our service without HTTP: from the comment's text to its answer."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def answer(self, comment: str) -> SystemAnswer:
        answer = await self._router.route(comment)
        spans = [(s.start, s.part) for s in answer.segments] + [(r.start, Part(r.content)) for r in answer.residue]
        return SystemAnswer(tuple(part for _, part in sorted(spans, key=lambda span: span[0])))


class OwnHttp:
    """Our service over a socket, in processes of its own."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def answer(self, comment: str) -> SystemAnswer:
        response = await self._client.post("/v1/route", json={"comment": comment})
        body = response.raise_for_status().json()
        spans = [(s["start"], Part(s["content"], _path(s), emotion_named(s["emotion"]))) for s in body["segments"]]
        spans += [(r["start"], Part(r["content"])) for r in body["residue"]]
        return SystemAnswer(tuple(part for _, part in sorted(spans, key=lambda span: span[0])))


def _path(segment: Mapping[str, str | None]) -> tuple[str, ...]:
    return tuple(label for level in LEVELS if (label := segment.get(level)))


@contextlib.asynccontextmanager
async def started(name: str, pair: Pair, settings: Settings) -> AsyncIterator[System]:
    """One of the systems by name, stopped at the end."""
    if name == "engine":
        router = await start_router(settings, pair)
        yield OwnEngine(router)
        await router.close()
    elif name == "http":
        chosen = {"CHECKPOINT": settings.checkpoint, "MAX_MODEL_LEN": str(settings.max_model_len)}
        async with service(chosen) as running, httpx.AsyncClient(base_url=running.address, timeout=600) as client:
            yield OwnHttp(client)
    elif name == "outlines-transformers":
        yield OutlinesTransformers(pair)
    else:
        plain = PlainVllm(pair, settings, by_schema=name == "vllm-json-schema")
        yield plain
        plain.close()


class RunningService(NamedTuple):
    """A service that listens: where, and the process that all its others descend from."""

    address: str
    pid: int


@contextlib.asynccontextmanager
async def service(chosen: Mapping[str, str]) -> AsyncIterator[RunningService]:
    """A service as users run it, with these settings. Raises EngineFailed with its last line."""
    command = [sys.executable, "-m", "route_feedback", "serve", "--port", "0"]
    environment = os.environ | {PREFIX + name: value for name, value in chosen.items()}
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=environment)
    assert process.stderr  # noqa: S101 (it was asked for)
    line = ""
    while READY not in line:
        if not (raw := await process.stderr.readline()):
            raise EngineFailed(f"the service did not start: {line}")
        line = raw.decode()
    drained = asyncio.create_task(_drained(process.stderr))
    try:
        yield RunningService(line.split(READY)[1].split()[0], process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        drained.cancel()


async def _drained(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass
