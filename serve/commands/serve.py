"""`route-feedback serve`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from serve.commands.options import Checkpoint, SettingsFile, TaxonomyFile, check_named, settings_of


def command(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; 0: any that is free.")] = None,
    checkpoint: Checkpoint = None,
    taxonomy: TaxonomyFile = None,
    settings: SettingsFile = None,
) -> None:
    """The service over HTTP."""
    chosen = settings_of(settings, host=host, port=port, checkpoint=checkpoint, taxonomy=taxonomy)
    check_named(chosen)
    import asyncio

    from serve.http.server import listen
    from serve.start import first_pair, serve
    from serve.telemetry import logs
    from serve.telemetry.traces import tracing
    from serve.trials.policy import read_rules

    logs.configure(chosen.log)
    with listen(chosen.host, chosen.port) as listening, tracing(os.environ) as tracer:
        # A wrong checkpoint, taxonomy or policy is named before the engine's half minute.
        first, rules = first_pair(chosen), read_rules(chosen.trial_policy)
        print(f"route-feedback: loading {first.pair.model.path} (about a minute)", file=sys.stderr, flush=True)
        asyncio.run(serve(chosen, first, listening, rules=rules, tracer=tracer))
