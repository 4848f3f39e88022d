"""Options that commands share, and what is made of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxonomy.errors import CallWrong

if TYPE_CHECKING:  # what only asks a running service reads no settings, and need not wait for them
    from serve.settings import Settings

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A YAML file of settings.")]
Checkpoint = Annotated[
    str | None, typer.Option(help="A checkpoint's directory, or a base model's directory, packaged name or hub id.")
]
TaxonomyFile = Annotated[str | None, typer.Option("--taxonomy", help="A taxonomy file: YAML, CSV, XLSX or JSON.")]
TaxonomyOfCheckpoint = Annotated[
    Path | None, typer.Option("--taxonomy", help="The taxonomy it is for; the bundled one where none is named.")
]
Folder = Annotated[Path, typer.Argument(help="A checkpoint's directory.")]
Id = Annotated[str, typer.Argument(help="ck_...")]
RegistryPlace = Annotated[
    str | None,
    typer.Option("--registry", help="Its directory or URL; ROUTE_FEEDBACK_REGISTRY where none is named."),
]
Url = Annotated[
    str | None,
    typer.Option(help="A running service, which loads and verifies it; takes ROUTE_FEEDBACK_ADMIN_KEY."),
]
ServiceUrl = Annotated[str, typer.Option("--url", help="A running service; takes ROUTE_FEEDBACK_ADMIN_KEY.")]
WithoutGate = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take on, by your name, what the gate did not pass.")
]
Share = Annotated[float, typer.Option(help="Over 0 and up to 1.")]


def settings_of(file: Path | None, **flags: Any) -> Settings:
    """The settings of this process. Raises CallWrong."""
    from serve.settings import load_settings

    return load_settings(os.environ, file, **flags)


def check_named(settings: Settings) -> None:
    """What is named is there: said before anything heavy is imported. Raises CallWrong or CheckpointInvalid."""
    from serve.routing.model_files import check_model_files
    from serve.routing.source import is_base_model
    from taxonomy.checkpoint.manifest import read_manifest

    if not settings.taxonomy.is_file():
        raise CallWrong(f"there is no taxonomy file {settings.taxonomy}")
    if settings.registry is not None:
        return
    if is_base_model(settings.checkpoint):
        check_model_files(settings.checkpoint)
    else:
        read_manifest(Path(settings.checkpoint))
