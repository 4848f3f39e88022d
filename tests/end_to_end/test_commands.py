"""The command line, as a shell sees it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from route_feedback import main
from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.bundled import BUNDLED_TAXONOMY
from tests.conftest import Live


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("route-feedback")), *arguments]
    return subprocess.run(
        program, capture_output=True, text=True, timeout=300, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve"],
        ["route"],
        ["taxonomy", "validate"],
        ["taxonomy", "convert"],
        ["train"],
        ["corpus", "write"],
        ["eval", "voc"],
        ["eval", "served"],
        ["checkpoint", "verify"],
        ["checkpoint", "activate"],
        ["checkpoint", "trials"],
    ],
)
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--help"]) == 0
    assert "Usage: route-feedback" in capsys.readouterr().out


def test_the_installed_command_has_help_and_refuses_a_wrong_call() -> None:
    done = command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: route-feedback" in done.stdout
    done = command("fly")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'fly'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "No such command 'fly'"),
        (["taxonomy", "validate", "nowhere.yaml"], "there is no taxonomy file nowhere.yaml"),
        (["taxonomy", "convert", str(BUNDLED_TAXONOMY), "x.txt"], "not '.txt'"),
        (["route"], "either a comment or --file"),
        (["train", "nowhere.yaml", "--out", "x"], "there is no recipe nowhere.yaml"),
        (["serve", "--port", "http"], "Input should be a valid integer"),
        (["serve", "--port", "70000"], "--port: Input should be"),
    ],
)
def test_a_wrong_call_is_exit_code_2_and_says_what(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors


def test_an_unknown_setting_is_an_error() -> None:
    done = command("serve", ROUTE_FEEDBACK_PROT="80")
    assert done.returncode == 2
    assert "ROUTE_FEEDBACK_PROT: unknown setting; did you mean ROUTE_FEEDBACK_PORT?" in done.stderr


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr


def test_a_missing_or_mismatched_pair_stops_the_start_with_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("L1,L2,L3,L4\na,b,c,d\n")
    broken = tmp_path / "broken"
    shutil.copytree(BUNDLED_CHECKPOINT, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for arguments, said in (
        (["--checkpoint", str(tmp_path / "none")], "no checkpoint directory"),
        (["--checkpoint", str(broken)], "model.safetensors is altered; copy the checkpoint again"),
        (["--taxonomy", str(other)], "start with the taxonomy it was trained on"),
        (["--taxonomy", str(tmp_path / "none.yaml")], "there is no taxonomy file"),
    ):
        done = command("serve", "--port", "0", *arguments)
        assert done.returncode in {1, 2}
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_validate_and_stats_speak_json(tmp_path: Path) -> None:
    stats = json.loads(command("taxonomy", "stats", "--json").stdout)
    assert stats["levels"]["L4"] == 1420
    bad = tmp_path / "bad.csv"
    bad.write_text("L1,L2\n,d\na,b\na,b\n")
    done = command("taxonomy", "validate", str(bad), "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["faults"]) == 2


def test_a_file_of_comments_is_routed_in_order_and_what_fails_is_named(live: Live, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    sent = {"id": "a", "comment": "It came late.", "metadata": {"shop": "north"}, "deadline_ms": 60_000}
    rows = [json.dumps(sent), '{"id": "b", "comment": " "}', '{"comment": "ok", "rating": 5}', '{"comment": "ok"}']
    source.write_text("\ufeff" + "\n".join(rows))
    done = command("route", "--file", str(source), "--out", str(target), "--url", live.url)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"route-feedback: {source}:3: rating: is no field of this request",
        f"route-feedback: {source}:2: b: comment is empty; send the customer's text",
        f"route-feedback: 2 answered, 2 failed; they stand in {target}",
    ]
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    assert (answers[0]["id"], answers[0]["metadata"], answers[3]["id"]) == ("a", {"shop": "north"}, "4")
    assert [(each["line"], each["problem"]["status"]) for each in answers[1:3]] == [(2, 422), (3, 422)]


def test_one_comment_is_routed(live: Live) -> None:
    done = command("route", "It came late.", "--url", live.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["segments"] is not None


def test_without_a_service_the_answer_stands_alone_on_standard_output() -> None:
    done = command("route", "It came late.")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["segments"] is not None


def test_a_service_that_is_not_there_is_named() -> None:
    done = command("route", "It came late.", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 did not answer" in done.stderr


def test_a_bad_line_of_a_file_is_named_by_its_number(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"comment": "ok"}\n{"text": "late"}\n')
    done = command("route", "--file", str(source), "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert f"{source}:2" in done.stderr
