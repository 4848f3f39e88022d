"""Settings: one frozen object, unknown keys fail, the nearest source wins."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from vllm.engine.arg_utils import AsyncEngineArgs

from serve.engine.vllm.engine import cpu_dtype, with_spare_slot
from serve.settings import load_settings
from taxonomy.errors import CallWrong


def test_given_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("port: 1\nhost: a\nmax_comment: 10\n")
    settings = load_settings({"ROUTE_FEEDBACK_PORT": "2", "ROUTE_FEEDBACK_HOST": "b"}, file, port=3)
    assert (settings.port, settings.host, settings.max_comment, settings.max_chunks) == (3, "b", 10, 64)


@pytest.mark.parametrize(
    ("environment", "text", "said"),
    [
        ({"ROUTE_FEEDBACK_PROT": "1"}, "", "ROUTE_FEEDBACK_PROT: Extra inputs"),
        ({"ROUTE_FEEDBACK_PORT": "x"}, "", "ROUTE_FEEDBACK_PORT: Input should be a valid integer"),
        ({"ROUTE_FEEDBACK_ENGINE": "{"}, "", "ROUTE_FEEDBACK_ENGINE: Value error, not JSON"),
        ({"ROUTE_FEEDBACK_ENGINE": "[1]"}, "", "ROUTE_FEEDBACK_ENGINE: Input should be a valid dictionary"),
        (
            {"ROUTE_FEEDBACK_SWAP": "in_place", "ROUTE_FEEDBACK_ENGINE": '{"enable_lora": true}'},
            "",
            "in_place changes the weights below adapters",
        ),
        ({}, "prot: 1", "ROUTE_FEEDBACK_PROT: Extra inputs"),
        ({}, "- a", "settings file"),
        ({}, "a: {", "settings file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, environment: dict[str, str], text: str, said: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(CallWrong, match=said):
        load_settings(environment, file)


@pytest.mark.parametrize("profile", sorted(Path("serve/profiles").glob("*.yaml")), ids=lambda file: str(file.stem))
def test_the_shipped_profiles_name_settings_and_engine_arguments_that_exist(profile: Path) -> None:
    settings = load_settings({}, profile)
    assert settings.engine.keys() <= {field.name for field in fields(AsyncEngineArgs)}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CallWrong, match="No such file"):
        load_settings({}, tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("avx512f avx512_bf16", "bfloat16"), ("avx512f avx2", "float32"), ("amx_bf16", "bfloat16"), ("", "float32")],
)
def test_a_cpu_without_bfloat16_instructions_gets_float32(tmp_path: Path, flags: str, dtype: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu {flags} sse\n")
    assert cpu_dtype(cpuinfo) == dtype
    assert cpu_dtype(tmp_path / "none") == "float32"


def test_on_a_cpu_adapters_get_a_slot_more_than_may_be_loaded_and_other_engines_none() -> None:
    assert with_spare_slot({"enable_lora": True})["max_loras"] == 4
    assert with_spare_slot({"enable_lora": True, "max_loras": 1}) == {"enable_lora": True, "max_loras": 2}
    assert with_spare_slot({"max_num_seqs": 8}) == {"max_num_seqs": 8}
