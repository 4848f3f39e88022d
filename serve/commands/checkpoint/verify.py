"""`route-feedback checkpoint verify`."""

from __future__ import annotations

from serve.commands.options import Folder
from serve.routing.packaged import base_below
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.command_line import Json, emit


def command(folder: Folder, json: Json = False) -> None:
    """Every file is there and as it was published."""
    manifest = read_manifest(folder)
    verify(folder, manifest)
    base = base_below(manifest.version, manifest.delta_of).name if manifest.delta_of else None
    value = {"version": manifest.version, "taxonomy": manifest.taxonomy, "base": base, "whole": True}
    whole = f"{manifest.version} is whole ({len(manifest.files)} files{f' over {base}' if base else ''})"
    emit(value, f"{folder}: {whole}, for taxonomy {manifest.taxonomy}", as_json=json)
