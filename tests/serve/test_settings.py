"""Settings: one frozen object, unknown names fail, the nearest source wins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from vllm.engine.arg_utils import AsyncEngineArgs

from serve.settings import PREFIX, Settings, load_settings, variable
from serve.settings_table import settings_table, with_table
from taxonomy.errors import CallWrong


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.yaml"


def test_given_beats_environment_beats_file_beats_default(file: Path) -> None:
    file.write_text("port: 1\nhost: a\nmax_comment: 10\nengine: {a: 1}\n")
    environment = {"ROUTE_FEEDBACK_PORT": "2", "ROUTE_FEEDBACK_HOST": "b", "ROUTE_FEEDBACK_ENGINE": '{"b": 2}'}
    settings = load_settings(environment, file, port=3, host=None)
    assert (settings.port, settings.host, settings.max_comment, settings.max_chunks) == (3, "b", 10, 64)
    assert settings.engine == {"b": 2}


def test_only_the_environment_that_is_handed_in_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTE_FEEDBACK_PORT", "1")
    assert load_settings({}).port == Settings().port == 8000


@pytest.mark.parametrize(
    ("environment", "flags", "said"),
    [
        ({"ROUTE_FEEDBACK_PROT": "1"}, {}, "ROUTE_FEEDBACK_PROT: unknown setting; did you mean ROUTE_FEEDBACK_PORT?"),
        ({"ROUTE_FEEDBACK_XYZXYZ": "1"}, {}, "ROUTE_FEEDBACK_XYZXYZ: unknown setting"),
        ({"ROUTE_FEEDBACK_PORT": "x"}, {}, "ROUTE_FEEDBACK_PORT: Input should be a valid integer"),
        ({"ROUTE_FEEDBACK_ENGINE": "{"}, {}, "ROUTE_FEEDBACK_ENGINE: not JSON: Expecting property name"),
        ({"ROUTE_FEEDBACK_ENGINE": "[1]"}, {}, "ROUTE_FEEDBACK_ENGINE: Input should be a valid dictionary"),
        (
            {"ROUTE_FEEDBACK_ACTIVATION_LIMITS_S": '{"loding": 60}'},
            {},
            "ROUTE_FEEDBACK_ACTIVATION_LIMITS_S: loding: Input should be 'idle', 'resolving'",
        ),
        ({"ROUTE_FEEDBACK_CACHE": "~nobody-here/x"}, {}, "ROUTE_FEEDBACK_CACHE: ~nobody-here/x: Could not determine"),
        ({"ROUTE_FEEDBACK_PORT": "1"}, {"port": 70_000}, "--port: Input should be less than or equal to 65535"),
        ({}, {"max_comment": 0}, "--max-comment: Input should be greater than 0"),
        (
            {"ROUTE_FEEDBACK_ACTIVATION": "in_place", "ROUTE_FEEDBACK_ENGINE": '{"enable_lora": true}'},
            {},
            "settings: in_place changes the weights below adapters",
        ),
    ],
)
def test_a_wrong_variable_or_flag_is_named(environment: dict[str, str], flags: dict[str, Any], said: str) -> None:
    with pytest.raises(CallWrong) as error:
        load_settings(environment, None, **flags)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nprot: 1", ":2: prot: unknown key; did you mean 'port'?"),
        ("_env_file: x", ":1: _env_file: unknown key"),
        ("host: a\nport: x", ":2: port: Input should be a valid integer"),
        ("activation_limits_s:\n  loading: 0", ":2: activation_limits_s.loading: Input should be greater than 0"),
        ("- a", ": it holds no keys"),
        ("a: {", ":1: not YAML"),
    ],
)
def test_a_wrong_key_is_named_with_file_and_line(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(CallWrong) as error:
        load_settings({}, file)
    assert str(error.value).startswith(f"{file}{said}")


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(CallWrong, match=f"^there is no file {file}$"):
        load_settings({}, file)


def test_a_key_shows_nowhere() -> None:
    with pytest.raises(CallWrong) as error:
        load_settings({"ROUTE_FEEDBACK_ADMIN_KEY": "too short"})
    assert "too short" not in str(error.value)
    assert "a key for the tests" not in repr(load_settings({}, admin_key="a key for the tests"))


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


PLACES = ("checkpoint", "taxonomy", "cache", "registry", "trial_policy")


@pytest.mark.parametrize("name", PLACES)
def test_a_tilde_is_the_home_in_every_path(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/tests")
    file.write_text(f"{name}: ~/x/y")
    for settings in (
        load_settings({}, file),
        load_settings({variable(name): "~/x/y"}),
        load_settings({}, None, **{name: "~/x/y"}),
    ):
        assert str(getattr(settings, name)) == "/home/of/tests/x/y"
    assert load_settings({}).cache == Path("/home/of/tests/.cache/route-feedback")


def test_every_path_is_among_those_that_were_tried() -> None:
    paths = {name for name, field in Settings.model_fields.items() if "Path" in repr(field.annotation)}
    assert paths <= set(PLACES)


@pytest.mark.parametrize("place", ["s3://bucket/checkpoints", "file:///srv/checkpoints", "org/name"])
def test_what_is_no_path_stays_as_it_is(place: str) -> None:
    settings = load_settings({}, registry=place, checkpoint=place)
    assert (settings.registry, settings.checkpoint) == (place, place)


@pytest.mark.parametrize("profile", sorted(Path("serve/profiles").glob("*.yaml")), ids=lambda file: str(file.stem))
def test_the_shipped_profiles_name_settings_and_engine_arguments_that_exist(profile: Path) -> None:
    settings = load_settings({}, profile)
    assert settings.engine.keys() <= {field.name for field in fields(AsyncEngineArgs)}


def test_the_readme_lists_every_setting_as_the_model_has_it() -> None:
    text = Path("README.md").read_text(encoding="utf-8")
    assert with_table(text) == text, "write it anew: python -m serve.settings_table"
    assert settings_table().count(" | ") >= 2 * len(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_the_one_gate_key_is_the_settings() -> None:
    from taxonomy.checkpoint.gate_record import KEY_VARIABLE  # noqa: PLC0415

    assert variable("gate_key") == f"{PREFIX}GATE_KEY" == KEY_VARIABLE


def test_settings_are_read_without_what_serves() -> None:
    heavy = "{'torch', 'vllm', 'transformers', 'fastapi', 'numpy', 'openpyxl'}"
    script = f"import sys, serve.settings; sys.exit(', '.join({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
