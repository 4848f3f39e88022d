"""Every setting of the service: flags, `ROUTE_FEEDBACK_*` variables and a YAML file; unknown names are an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from serve.activation.phases import Phase
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.errors import CallWrong
from taxonomy.language.chunks import MAX_CHUNKS
from taxonomy.yaml_files import Document, message, nearest, read_document

PREFIX: Final = "ROUTE_FEEDBACK_"
BUNDLED_CHECKPOINT: Final = Path(__file__).parent / "data" / "checkpoint"
P = TypeVar("P", str, Path)


def _at_home(place: P) -> P:
    """A leading `~` is the home of whoever runs this."""
    if not str(place).startswith("~"):
        return place
    try:
        return type(place)(Path(place).expanduser())
    except RuntimeError as error:
        raise ValueError(f"{place}: {error}") from error


Count = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
File = Annotated[Path, AfterValidator(_at_home)]
Place = Annotated[str, AfterValidator(_at_home)]
"""A directory, or a name that is none: a hub's id, a URL."""


class Settings(BaseSettings):
    """Frozen; made once by `load_settings`. Made by itself it holds what it is given, and reads no environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    checkpoint: Place = Field(
        default=str(BUNDLED_CHECKPOINT),
        description="a checkpoint's directory, or a base model's directory, packaged name "
        "([docs/bases.md](docs/bases.md)) or hub id",
    )
    taxonomy: File = Field(default=BUNDLED_TAXONOMY, description="a taxonomy file: YAML, CSV, XLSX or JSON")
    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(default=8000, description="its port; `0`: any that is free")
    max_comment: Count = Field(default=5000, description="longest comment, in Unicode code points")
    max_chunks: Count = Field(default=MAX_CHUNKS, description="most places where a comment may be cut")
    max_model_len: Count | None = Field(
        default=None, description="context of the engine, in tokens; none: the model's own"
    )
    max_num_seqs: Count = Field(default=128, description="comments decoded at once")
    max_waiting: Count = Field(
        default=1024, description="comments that may wait for their turn; more are refused at once"
    )
    log: Literal["text", "json"] = Field(
        default="text",
        description="`json`: a JSON object a line, one for every request "
        "([docs/operations/logs.md](docs/operations/logs.md))",
    )
    cache: File = Field(
        default=Path("~/.cache/route-feedback"),
        description="where compiled taxonomies, packaged bases, chats that a base made of itself and checkpoints of a "
        "registry behind a URL are kept; by default below `XDG_CACHE_HOME` where that is set",
    )
    engine: dict[str, Any] = Field(
        default={}, description="any of vLLM's engine arguments, by name; they go before ours"
    )
    registry: Place | None = Field(
        default=None,
        description="a directory of checkpoints, or a URL such as `s3://bucket/checkpoints`; its active one serves, "
        "and `CHECKPOINT` only where there is none ([docs/activation.md](docs/activation.md))",
    )
    admin_key: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None,
        description="the bearer key that may change checkpoints, 16 characters or more; none: nobody may over HTTP",
    )
    gate_key: SecretStr | None = Field(
        default=None,
        description="signs the gate's decisions, where it decides and where a checkpoint is taken on; none: they are "
        "taken unsigned ([docs/judging.md](docs/judging.md))",
    )
    activation: Literal["blue_green", "in_place"] = Field(
        default="blue_green",
        description="how another checkpoint is loaded: `blue_green`: into a second engine beside the first; "
        "`in_place`: into the one that there is ([docs/activation.md](docs/activation.md))",
    )
    activation_limits_s: dict[Phase, Seconds] = Field(
        default={}, description="seconds that a phase of an activation may take, by its name"
    )
    follow_s: Seconds = Field(
        default=10.0,
        description="seconds between two looks at the registry, on average; what became active there is activated",
    )
    trial_policy: File | None = Field(
        default=None,
        description="a YAML file that says when a candidate on trial is promoted or taken back without being asked "
        "([docs/activation.md](docs/activation.md))",
    )

    @model_validator(mode="after")
    def _adapters_stay(self) -> Settings:
        if self.activation == "in_place" and self.engine.get("enable_lora"):
            raise ValueError("in_place changes the weights below adapters; take blue_green with enable_lora")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings' signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The other sources are asked by `load_settings`, which is handed the environment."""
        return (init_settings,)


def load_settings(environment: Mapping[str, str], file: Path | None = None, **flags: Any) -> Settings:
    """A file, over it the environment, over that the flags that are not None.

    Raises CallWrong with one line that names each wrong key where it stands: the flag, the variable, or file and line.
    """
    document = read_document(file) if file else None
    given = {name: value for name, value in flags.items() if value is not None}
    if unknown := [*_unknown_variables(environment), *(_unknown_keys(document) if document else [])]:
        raise CallWrong("; ".join(unknown))
    variables = _Variables(environment)()
    try:
        return Settings(
            **{"cache": _usual_cache(environment), **(document.content if document else {}), **variables, **given}
        )
    except ValidationError as error:
        faults = (_fault(fault, given, variables, document) for fault in error.errors(include_url=False))
        raise CallWrong("; ".join(faults)) from error


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where a command that reads no settings keeps what it makes once: where the service does. Raises CallWrong."""
    try:
        return _at_home(Path(environment.get(variable("cache")) or _usual_cache(environment)))
    except ValueError as error:
        raise CallWrong(f"{error}; set {variable('cache')}") from error


def _usual_cache(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("XDG_CACHE_HOME", ""))
    # A relative one is to be ignored, its specification says.
    return home / "route-feedback" if home.is_absolute() else Path("~/.cache/route-feedback")


class _Variables(EnvSettingsSource):
    """The settings that an environment holds, which is handed in; those that are no text are JSON there."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in environment.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except json.JSONDecodeError as error:
            raise CallWrong(f"{variable(field_name)}: not JSON: {error.msg}") from error


def variable(name: str) -> str:
    """The environment's name for a setting."""
    return f"{PREFIX}{name.upper()}"


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name in environment:
        key = name.upper().removeprefix(PREFIX).lower()
        if name.upper().startswith(PREFIX) and key not in Settings.model_fields:
            like = nearest(key, Settings.model_fields)
            yield f"{name}: unknown setting{f'; did you mean {variable(like)}?' if like else ''}"


def _unknown_keys(document: Document) -> Iterator[str]:
    for key in document.content:
        if key not in Settings.model_fields:
            yield document.fault(ErrorDetails(type="extra_forbidden", loc=(key,), msg="", input=None), Settings)


def _fault(fault: ErrorDetails, given: dict[str, Any], variables: dict[str, Any], document: Document | None) -> str:
    if not fault["loc"]:
        return f"settings: {message(fault, Settings)}"
    key, *below = (str(part) for part in fault["loc"] if part != "[key]")
    if document and key not in given and key not in variables:
        return document.fault(fault, Settings)
    where = f"--{key.replace('_', '-')}" if key in given else variable(key)
    return ": ".join([where, *([".".join(below)] if below else []), message(fault, Settings)])
