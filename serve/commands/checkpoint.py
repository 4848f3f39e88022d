"""`route-feedback checkpoint ...`: a checkpoint directory, and the registry of those that may serve."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from serve.commands import trial as trial_commands
from serve.commands.admin_client import ask, followed, service, who
from serve.registry.registry import Registry
from serve.registry.versions import State
from serve.settings import Settings, load_settings
from taxonomy import command_line
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.adapter import adapter_of
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.checkpoint.gate_record import KEY_VARIABLE
from taxonomy.checkpoint.manifest import publish, read_manifest, verify
from taxonomy.errors import CallWrong
from taxonomy.formats.registry import load_taxonomy
from taxonomy.labels import CheckpointId


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="route-feedback")
    rooms = parser.add_subparsers(required=True)
    commands = rooms.add_parser("checkpoint", help="checkpoints and their registry").add_subparsers(required=True)
    command = commands.add_parser("verify", help="every file is there and as it was published")
    _options(command, "folder", run=_verify)
    command = commands.add_parser("fingerprint", help="record in the manifest what the engine decides with it")
    _options(command, "folder", "settings", "registry", "taxonomy", run=_fingerprint)
    command = commands.add_parser(
        "adapt", help="make a version of an adapter in PEFT's format, over one of the registry"
    )
    command.add_argument("--base", type=CheckpointId, required=True, help="ck_...")
    _options(command, "folder", "settings", "registry", run=_adapt)
    command = commands.add_parser("add", help="copy a checkpoint into the registry")
    _options(command, "folder", "settings", "registry", "taxonomy", run=_add)
    command = commands.add_parser("list", help="every version, its state and its taxonomy")
    _options(command, "settings", "registry", run=_list)
    command = commands.add_parser("show", help="one version, and what was done with it")
    _options(command, "id", "settings", "registry", run=_show)
    command = commands.add_parser("activate", help="have a version serve, instead of the active one")
    command.add_argument("--without-gate", metavar="NAME", help="take on, by your name, what the gate did not pass")
    _options(command, "id", "settings", "registry", "url", run=_activate)
    command = commands.add_parser("rollback", help="go back to the version that served before")
    _options(command, "settings", "registry", "url", run=_roll_back)
    _trials(commands)
    return command_line.run(parser, arguments)


def _trials(commands: Any) -> None:
    """A candidate beside the active version, at one running service."""
    for mode, what in (("canary", "a share of the requests"), ("shadow", "copies of a share of the requests")):
        command = commands.add_parser(mode, help=f"try a version out on {what}")
        command.add_argument("--share", type=float, required=True, help="over 0 and up to 1")
        command.add_argument("--without-gate", metavar="NAME", help="take on, by your name, what the gate did not pass")
        _options(command, "id", "settings", "service", run=partial(_tried, mode=mode))
    for word, what in (("promote", "make the version on trial the active one"), ("stop", "end a trial")):
        _options(commands.add_parser(word, help=what), "id", "settings", "service", run=partial(_ended, word=word))
    _options(commands.add_parser("trial", help="what the trial has shown so far"), "settings", "service", run=_trial)
    command = commands.add_parser("trials", help="trials that have ended, with their evidence")
    _options(command, "settings", "registry", run=lambda given: trial_commands.trials(given, _registry(given)))


def _tried(given: argparse.Namespace, mode: str) -> int:
    return trial_commands.tried(given, _settings(given).admin_key, mode)


def _ended(given: argparse.Namespace, word: str) -> int:
    return trial_commands.ended(given, _settings(given).admin_key, word)


def _trial(given: argparse.Namespace) -> int:
    return trial_commands.trial(given, _settings(given).admin_key)


def _options(command: argparse.ArgumentParser, *names: str, run: command_line.Command) -> None:
    known: dict[str, tuple[str, dict[str, Any]]] = {
        "folder": ("folder", {"type": Path}),
        "id": ("id", {"type": CheckpointId, "help": "ck_..."}),
        "settings": ("--settings", {"type": Path, "help": "a YAML file of settings"}),
        "registry": ("--registry", {"help": "its directory or URL (default: ROUTE_FEEDBACK_REGISTRY)"}),
        "taxonomy": ("--taxonomy", {"type": Path, "help": "the taxonomy it is for (default: the bundled one)"}),
        "service": ("--url", {"required": True, "help": "a running service; takes ROUTE_FEEDBACK_ADMIN_KEY"}),
        "url": ("--url", {"help": "a running service, which loads and verifies it; takes ROUTE_FEEDBACK_ADMIN_KEY"}),
    }
    for name in names:
        flag, options = known[name]
        command.add_argument(flag, **options)
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def _settings(given: argparse.Namespace) -> Settings:
    chosen = {name: getattr(given, name, None) for name in ("registry", "taxonomy")}
    return load_settings(os.environ, given.settings, **chosen)


def _registry(given: argparse.Namespace) -> Registry:
    settings = _settings(given)
    if settings.registry is None:
        raise CallWrong("which registry? give --registry DIR or set ROUTE_FEEDBACK_REGISTRY")
    return Registry(settings.registry, os.environ.get(KEY_VARIABLE, ""), settings.cache)


def _verify(given: argparse.Namespace) -> int:
    manifest = read_manifest(given.folder)
    verify(given.folder, manifest)
    text = (
        f"{given.folder}: {manifest.version} is whole ({len(manifest.files)} files), for taxonomy {manifest.taxonomy}"
    )
    command_line.tell(
        {"version": manifest.version, "taxonomy": manifest.taxonomy, "whole": True}, text, as_json=given.json
    )
    return 0


def _fingerprint(given: argparse.Namespace) -> int:
    from serve.activation.proof import PROBES  # noqa: PLC0415 (transformers takes seconds to import)

    fingerprint = fingerprinted(given.folder, _settings(given))
    version = read_manifest(given.folder).version
    decisions = sum(len(probe.tokens) for probe in fingerprint.probes)
    kept = f"{len(fingerprint.probes)} of {len(PROBES)} probes with {decisions} decisions"
    text = f"{given.folder}: {kept}, recorded on {fingerprint.recorded_on}, spread {fingerprint.spread:.2g}"
    command_line.tell({"version": version, **fingerprint.model_dump(mode="json")}, text, as_json=given.json)
    return 0


def fingerprinted(folder: Path, settings: Settings) -> Fingerprint:
    """Record in a checkpoint's manifest what an engine, started for this, decides with it. Raises EngineFailed.

    settings: of the service that is to serve it; which checkpoint they name does not matter.
    """
    from serve.activation.proof import record  # noqa: PLC0415 (vLLM takes seconds to import)
    from serve.routing.pair import load_pair  # noqa: PLC0415
    from serve.start import start_router  # noqa: PLC0415

    manifest = read_manifest(folder)
    settings = settings.model_copy(update={"checkpoint": str(folder)})
    pair = load_pair(settings)
    print(f"route-feedback: loading {folder} (about a minute)", file=sys.stderr, flush=True)

    async def recorded() -> Fingerprint:
        router = await start_router(settings, pair)
        try:
            return await record(router)
        finally:
            await router.close()

    fingerprint = asyncio.run(recorded())
    # What the gate said was of another recording.
    publish(folder, manifest.model_copy(update={"fingerprint": fingerprint, "decision": None}))
    return fingerprint


def _adapt(given: argparse.Namespace) -> int:
    manifest = adapter_of(given.folder, _registry(given).manifest(given.base))
    text = f"{given.folder}: {manifest.version}, an adapter of {given.base}; record its fingerprint, then add it"
    command_line.tell({"checkpoint": manifest.version, "adapter_of": given.base}, text, as_json=given.json)
    return 0


def _add(given: argparse.Namespace) -> int:
    registry = _registry(given)
    manifest = registry.add(given.folder, load_taxonomy(given.taxonomy or BUNDLED_TAXONOMY), who())
    state = registry.read().get(manifest.version).state
    fault = registry.gate_fault(manifest) if state is State.CANDIDATE else ""
    text = f"{manifest.version}: {state} in {registry.store}" + (f"; {fault}" if fault else "")
    command_line.tell(
        {"checkpoint": manifest.version, "state": state, "gate": fault or "passed"}, text, as_json=given.json
    )
    return 0


def _list(given: argparse.Namespace) -> int:
    now = _registry(given).read()
    rows = [{"checkpoint": name, **version.model_dump()} for name, version in now.versions.items()]
    lines = [f"{row['checkpoint']}  {row['state']:<9}  {row['taxonomy']}" for row in rows]
    before = now.behind[-1] if now.behind else None
    value = {"active": now.active, "rollback": before, "versions": rows}
    command_line.tell(value, "\n".join(lines) or "no versions yet", as_json=given.json)
    return 0


def _show(given: argparse.Namespace) -> int:
    registry = _registry(given)
    version, manifest = registry.read().get(given.id), registry.manifest(given.id)
    changes = [
        entry.model_dump(mode="json", exclude={"after"}) for entry in registry.journal() if entry.checkpoint == given.id
    ]
    value = {
        "checkpoint": given.id,
        **version.model_dump(),
        "folder": registry.store.where(given.id),
        "gate": manifest.decision.model_dump(mode="json") if manifest.decision else None,
        "fingerprint": manifest.fingerprint.model_dump(mode="json") if manifest.fingerprint else None,
        "changes": changes,
    }
    lines = [f"{given.id}: {version.state}, for {version.taxonomy}, in {registry.store.where(given.id)}"]
    lines += [registry.gate_fault(manifest) or "the gate promotes it"]
    lines += [
        f"{len(manifest.fingerprint.probes)} probes in its fingerprint" if manifest.fingerprint else "no fingerprint"
    ]
    lines += [
        f"{c['at']}  {c['did']} by {c['by']}"
        + (f", without the gate: {c['without_gate']}" if c["without_gate"] else "")
        for c in changes
    ]
    command_line.tell(value, "\n".join(lines), as_json=given.json)
    return 0


def _activate(given: argparse.Namespace) -> int:
    if given.url:
        return _asked(given, f"/v1/checkpoints/{given.id}/activate", {"without_gate": given.without_gate})
    registry = _registry(given)
    now = registry.read()
    registry.may_serve(given.id, given.without_gate)
    registry.activate(given.id, now.active, who(), given.without_gate)
    return _told(given, registry)


def _roll_back(given: argparse.Namespace) -> int:
    if given.url:
        return _asked(given, "/v1/checkpoints/rollback", {})
    registry = _registry(given)
    now = registry.read()
    registry.roll_back(now.before, now.active, who())
    return _told(given, registry)


def _told(given: argparse.Namespace, registry: Registry) -> int:
    active = registry.read().active
    text = f"{active} is active: services that share the registry verify it and follow, one after the other"
    command_line.tell({"active": active}, text, as_json=given.json)
    return 0


def _asked(given: argparse.Namespace, path: str, body: dict[str, Any]) -> int:
    """Ask a service, and follow the activation to its end. Raises ActivationRefused, ActivationFailed or EngineFailed."""
    with service(given.url, _settings(given).admin_key) as client:
        ask(client, path, body)
        last = followed(client)
    command_line.tell(last, f"{last['checkpoint']} is active, instead of {last['before']}", as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
