"""The commands of a registry, as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from route_feedback import main
from tests.support.two_checkpoints import TwoCheckpoints


@pytest.fixture
def two(two: TwoCheckpoints, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TwoCheckpoints:
    monkeypatch.setenv("ROUTE_FEEDBACK_REGISTRY", str(tmp_path / "registry"))
    return two


def test_the_list_is_a_table(two: TwoCheckpoints, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["checkpoint", "state", "taxonomy"]
    assert [row[:2] for row in rows[1:]] == [[two.first, "active"], [two.second, "passed"]]


def test_an_empty_registry_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "registry").mkdir()
    for word in ("list", "trials"):
        assert main(["checkpoint", word, "--registry", str(tmp_path / "registry")]) == 0
    assert capsys.readouterr().out == "no checkpoints yet\nno trials yet\n"


def test_a_checkpoint_is_shown_with_what_was_done(two: TwoCheckpoints, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "activate", two.second]) == 0
    assert main(["checkpoint", "show", two.second]) == 0
    shown = capsys.readouterr().out
    assert f"{two.second} is active: services that share the registry verify it and follow" in shown
    assert f"{two.second}: active, for tx_" in shown
    assert "the gate promotes it" in shown
    assert "probes in its fingerprint" in shown
    assert "activate by " in shown


def test_the_gate_key_is_the_settings(
    two: TwoCheckpoints, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTE_FEEDBACK_GATE_KEY", "secret")
    assert main(["checkpoint", "activate", two.second]) == 1
    assert "is not signed with this service's key" in capsys.readouterr().err


def test_a_folder_is_verified(two: TwoCheckpoints, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "verify", str(two.registry.folder(two.first))]) == 0
    assert f"{two.first} is whole" in capsys.readouterr().out
