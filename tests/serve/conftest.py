"""What tests of the swap share: a registry of two versions, made once, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serve.registry import Registry
from serve.settings import Settings
from taxonomy.labels import CheckpointId
from tests.house import House, two_versions


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> tuple[Path, list[CheckpointId]]:
    folder = tmp_path_factory.mktemp("two")
    return folder / "registry", two_versions(folder, settings)


@pytest.fixture
def house(made: tuple[Path, list[CheckpointId]], tmp_path: Path, settings: Settings) -> House:
    root, names = made
    shutil.copytree(root, tmp_path / "registry")
    return House(Registry(tmp_path / "registry"), settings, *names)
