"""Every command of eval and bench says what it takes, at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eval.commands.options import chosen
from route_feedback import BENCH, EVAL, main
from taxonomy.errors import CallWrong

CALLS = [*(("eval", name) for name in EVAL.commands), *(("bench", name) for name in BENCH.commands)]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_command_has_help_and_refuses_to_run_without_its_files(
    call: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*call, "--help"]) == 0
    assert f"Usage: route-feedback {' '.join(call)}" in capsys.readouterr().out
    assert main([*call]) == 2


def test_help_takes_neither_torch_nor_vllm() -> None:
    """They take seconds to import."""
    line = (
        "import sys; from route_feedback import main\n"
        f"for call in {CALLS}: main([*call, '--help'])\n"
        "sys.exit(bool({'torch', 'vllm', 'sklearn', 'lm_eval'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", line], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "names"),
    [(None, ("a", "b", "c")), (["c,a"], ("a", "c")), (["c", "a"], ("a", "c")), (["b", "b,b"], ("b",))],
)
def test_an_option_of_several_names_takes_commas_or_is_repeated(
    given: list[str] | None, names: tuple[str, ...]
) -> None:
    assert chosen("--names", given, ("a", "b", "c")) == names


def test_a_name_that_is_not_known_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CallWrong, match="--names: 'd' is none of a, b"):
        chosen("--names", ["a,d"], ("a", "b"))
    for option, value in (("--systems", "engine,vllm"), ("--models", "big"), ("--concurrency", "many")):
        assert main(["bench", "speed", "--comments", "eval/data/test.jsonl", option, value]) == 2
        assert option in capsys.readouterr().err
