"""Every setting of the service: `ROUTE_FEEDBACK_*` variables or one YAML file; unknown keys are an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from serve.activation.phases import Phase
from serve.telemetry.logs import Form
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.errors import CallWrong
from taxonomy.language.chunks import MAX_CHUNKS

PREFIX: Final = "ROUTE_FEEDBACK_"
BUNDLED_CHECKPOINT: Final = Path(__file__).parent / "data" / "checkpoint"
Count = Annotated[int, Field(gt=0)]


def _parsed(value: object) -> object:
    """A variable of the environment holds JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from error


class Settings(BaseModel):
    """Frozen; made once by `load_settings`.

    checkpoint: a directory with a manifest, or any base model's directory or hub id.
    max_comment: longest comment, in Unicode code points. max_chunks: most places where one may be cut.
    max_model_len: context of the engine in tokens; None takes the model's own. max_num_seqs: comments decoded at once.
    max_waiting: comments that may wait for their turn.
    log: lines for people (text) or for machines (json), the latter with one for every request.
    cache: where compiled taxonomies are kept, and versions of a registry behind a URL.
    engine: any of vLLM's engine arguments, by name; they go before ours.
    registry: a directory of checkpoint versions, or a URL such as s3://bucket/checkpoints; the active one serves, and
    `checkpoint` only where there is none.
    admin_key: the bearer key that may change checkpoints; without one nobody may over HTTP.
    gate_key: the key that the gate's decisions must be signed with (`GATE_KEY` there); without one unsigned ones do.
    swap: a second engine beside the first (blue_green), or the new weights in the one that there is (in_place).
    swap_limits_s: seconds that a phase of an activation may take, by its name.
    follow_s: seconds between two looks at the registry, on average; what became active there is activated here.
    trial_policy: a YAML file that says when a candidate on trial is promoted or taken back without being asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint: str = str(BUNDLED_CHECKPOINT)
    taxonomy: Path = BUNDLED_TAXONOMY
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    max_comment: Count = 5000
    max_chunks: Count = MAX_CHUNKS
    max_model_len: Count | None = None
    max_num_seqs: Count = 128
    max_waiting: Count = 1024
    log: Form = "text"
    cache: Path = Path("~/.cache/route-feedback")
    engine: Annotated[dict[str, Any], BeforeValidator(_parsed)] = {}
    registry: str | None = None
    admin_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    gate_key: SecretStr | None = None
    swap: Literal["blue_green", "in_place"] = "blue_green"
    swap_limits_s: Annotated[dict[Phase, Annotated[float, Field(gt=0)]], BeforeValidator(_parsed)] = {}
    follow_s: Annotated[float, Field(gt=0)] = 10
    trial_policy: Path | None = None

    @model_validator(mode="after")
    def _adapters_stay(self) -> Settings:
        if self.swap == "in_place" and self.engine.get("enable_lora"):
            raise ValueError("in_place changes the weights below adapters; take blue_green with enable_lora")
        return self


def load_settings(environment: Mapping[str, str], file: Path | None = None, **given: Any) -> Settings:
    """Settings from a file, over them the environment, over them what was given. Raises CallWrong naming the key."""
    values: dict[str, Any] = {}
    if file:
        try:
            values |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
            raise CallWrong(f"settings file {file}: {' '.join(str(error).split())}") from error
    values |= {name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise CallWrong(f"settings: {faults}") from error
