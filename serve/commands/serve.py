"""`route-feedback serve` and `route-feedback route`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

import httpx
import uvicorn
from opentelemetry.trace import Tracer
from prometheus_client import REGISTRY, disable_created_metrics
from tqdm import tqdm

from serve.http.app import DEAD, create_app
from serve.http.schemas import EXAMPLE, response_of
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings, load_settings
from serve.start import First, admin_of, first_pair, start_router
from serve.telemetry import logs
from serve.telemetry.metrics import Metrics
from serve.telemetry.traces import tracing
from serve.trials.policy import Rules, read_rules
from taxonomy import command_line
from taxonomy.errors import CallWrong, DataInvalid, EngineFailed, RouteFeedbackError

AT_ONCE = 32
DRAIN_S = 30
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="the service over HTTP")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int)
    serve.set_defaults(run=_serve)
    route = commands.add_parser("route", help="route a comment, or a file of them")
    route.add_argument("text", nargs="?", help="one comment")
    route.add_argument("--file", type=Path, help='JSONL with a "comment" and maybe an "id" a line')
    route.add_argument("--out", type=Path, help="JSONL of the answers (default: standard output)")
    route.add_argument("--url", help="ask a running service, such as http://127.0.0.1:8000")
    route.set_defaults(run=_route)
    for command in (serve, route):
        command.add_argument("--checkpoint", help="a checkpoint's directory, or any base model's directory or hub id")
        command.add_argument("--taxonomy", help="a taxonomy file: YAML, CSV, XLSX or JSON")
        command.add_argument("--settings", type=Path, help="a YAML file of settings")
    return command_line.run(parser, arguments)


def _settings(given: argparse.Namespace) -> Settings:
    chosen = {name: getattr(given, name, None) for name in ("checkpoint", "taxonomy", "host", "port")}
    return load_settings(os.environ, given.settings, **chosen)


def _serve(given: argparse.Namespace) -> int:
    settings = _settings(given)
    logs.configure(settings.log)
    with _listening(settings) as listening, tracing(os.environ) as tracer:
        # A wrong checkpoint, taxonomy or policy is named before the engine's half minute.
        first, rules = first_pair(settings), read_rules(settings.trial_policy)
        print(f"route-feedback: loading {first.pair.model} (about a minute)", file=sys.stderr, flush=True)
        address = f"http://{settings.host}:{listening.getsockname()[1]}"
        asyncio.run(_serving(settings, first, listening, address, rules=rules, tracer=tracer))
    return 0


def _listening(settings: Settings) -> socket.socket:
    """A socket bound to the settings' address. Raises CallWrong where it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Said to be TCP, so that asyncio switches off Nagle's delay: with it, an answer waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        where = f"{settings.host}:{settings.port}"
        raise CallWrong(f"cannot listen on {where} ({error.strerror}); choose another --port or --host") from error
    return listening


async def _serving(
    settings: Settings, first: First, listening: socket.socket, address: str, *, rules: Rules, tracer: Tracer
) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing here reads them
    active = Active(await start_router(settings, *first, Metrics(REGISTRY, tracer)))
    app = create_app(active, admin_of(settings, active, rules))
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=DRAIN_S
    )
    server = _Server(config, _ready(address, first.pair), active)
    await server.serve(sockets=[listening])
    if server.has_lost_engine:
        raise EngineFailed(DEAD)


class _Server(uvicorn.Server):
    """A server that says when it listens, and does not outlive its engine."""

    def __init__(self, config: uvicorn.Config, announcement: str, active: Active) -> None:
        super().__init__(config)
        self._announcement = announcement
        self._active = active
        self.has_lost_engine = False

    async def on_tick(self, counter: int) -> bool:
        self.has_lost_engine = not self._active.router.is_alive
        return await super().on_tick(counter) or self.has_lost_engine

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, file=sys.stderr, flush=True)


def _ready(address: str, pair: Pair) -> str:
    body = json.dumps({"comment": EXAMPLE})
    return (
        f"route-feedback: ready at {address} with {pair.checkpoint} on {pair.taxonomy.version}\n\n"
        f"  curl -s {address}/v1/route -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
    )


def _route(given: argparse.Namespace) -> int:
    if (given.text is None) == (given.file is None):
        raise CallWrong("give either a comment or --file, and not both")
    requests = [{"comment": given.text}] if given.file is None else list(_requests(given.file))
    return asyncio.run(_route_all(given, requests))


def _requests(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                request = {"id": row.get("id", str(number)), "comment": row["comment"]}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataInvalid(f'{file}:{number}: not an object with a "comment"') from error
            for name, value in request.items():
                if not isinstance(value, str):
                    raise DataInvalid(f"{file}:{number}: {name} is not text")
            yield request


async def _route_all(given: argparse.Namespace, requests: list[dict[str, Any]]) -> int:
    if given.url:
        async with httpx.AsyncClient(base_url=given.url, timeout=600) as client:
            return await _write(given.out, requests, lambda request: _ask_service(client, request))
    settings = _settings(given)
    router = await start_router(settings, *first_pair(settings))
    try:
        return await _write(given.out, requests, lambda request: _ask_router(router, request))
    finally:
        await router.close()


async def _ask_router(router: Router, request: dict[str, Any]) -> dict[str, Any]:
    answer = await router.route(request["comment"])
    response = response_of(answer, router.pair, request.get("id", "1"), {})
    return response.model_dump(exclude_none=True)


async def _ask_service(client: httpx.AsyncClient, request: dict[str, Any]) -> dict[str, Any]:
    try:
        response = await client.post("/v1/route", json=request)
        body: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise EngineFailed(f"{client.base_url} did not answer: {error or type(error).__name__}") from error
    if response.is_error:
        raise EngineFailed(f"{client.base_url} refused {request.get('id', 'the comment')}: {body.get('detail')}")
    return body


async def _write(out: Path | None, requests: list[dict[str, Any]], ask: Ask) -> int:
    """Answers in the order of the requests, written as they come; those that fail are named and counted."""
    failed = 0
    with out.open("w", encoding="utf-8") if out else nullcontext(sys.stdout) as target:
        for start in tqdm(
            range(0, len(requests), AT_ONCE), unit=f"x{AT_ONCE} comments", disable=len(requests) < AT_ONCE
        ):
            batch = requests[start : start + AT_ONCE]
            answers = await asyncio.gather(*map(ask, batch), return_exceptions=True)
            failed += _write_batch(target, zip(batch, answers, strict=True))
    return 1 if failed else 0


def _write_batch(target: TextIO, answered: Iterable[tuple[dict[str, Any], dict[str, Any] | BaseException]]) -> int:
    failed = 0
    for request, answer in answered:
        if isinstance(answer, RouteFeedbackError):
            failed += 1
            print(f"route-feedback: {request.get('id', 'the comment')}: {answer}", file=sys.stderr)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            target.write(json.dumps(answer, ensure_ascii=False) + "\n")
    target.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
