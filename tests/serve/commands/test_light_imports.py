"""What a command says before it does any work, it says without importing what the work takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from route_feedback import main
code = main(sys.argv[1:])
print("imported:", sorted({"torch", "vllm", "transformers", "fastapi", "llguidance"} & sys.modules.keys()))
sys.exit(code)
"""


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "Usage: route-feedback"),
        (["serve", "--help"], 0, "--checkpoint"),
        (["route", "--help"], 0, "--url"),
        (["checkpoint", "--help"], 0, "activate"),
        (["checkpoint", "canary", "--help"], 0, "--share"),
        (["fly"], 2, "No such command 'fly'"),
        (["serve", "--prot", "80"], 2, "No such option: --prot"),
        (["serve", "--port", "http"], 2, "valid integer"),
        (["serve", "--port", "70000"], 2, "--port: Input should be less than or equal to 65535"),
        (["serve", "--settings", "nowhere.yaml"], 2, "there is no file nowhere.yaml"),
        (["serve", "--taxonomy", "nowhere.yaml"], 2, "there is no taxonomy file nowhere.yaml"),
        (["serve", "--checkpoint", "nowhere"], 1, "there is no checkpoint directory nowhere"),
        (["route", "late", "--checkpoint", "nowhere"], 1, "there is no checkpoint directory nowhere"),
        (["route"], 2, "give either a comment or --file"),
        (["route", "--file", "nowhere.jsonl"], 1, "No such file or directory: 'nowhere.jsonl'"),
        (["route", "late", "--url", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 did not answer"),
        (["checkpoint", "list"], 2, "which registry?"),
        (["checkpoint", "trial", "--url", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 did not answer"),
    ],
)
def test_help_and_wrong_calls_import_nothing_heavy(arguments: list[str], code: int, said: str) -> None:
    done = command(*arguments)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code
    assert "imported: []" in done.stdout


def test_neither_does_a_variable_with_a_slip_of_the_pen() -> None:
    done = command("serve", ROUTE_FEEDBACK_PROT="1")
    assert done.stderr == "route-feedback: ROUTE_FEEDBACK_PROT: unknown setting; did you mean ROUTE_FEEDBACK_PORT?\n"
    assert (done.returncode, done.stdout) == (2, "imported: []\n")


def test_nor_does_a_key_of_a_file(tmp_path: Path) -> None:
    broken = tmp_path / "settings.yaml"
    broken.write_text("host: a\nprot: 1\n")
    done = command("serve", "--settings", str(broken))
    assert done.stderr == f"route-feedback: {broken}:2: prot: unknown key; did you mean 'port'?\n"
    assert (done.returncode, done.stdout) == (2, "imported: []\n")
