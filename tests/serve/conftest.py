"""What tests of activations share: a registry of two checkpoints, made once, and a copy for each test; and S3."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.settings import Settings
from taxonomy.labels import CheckpointId
from tests.support.two_checkpoints import TwoCheckpoints, two_checkpoints


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> tuple[Path, list[CheckpointId]]:
    folder = tmp_path_factory.mktemp("two")
    return folder / "registry", two_checkpoints(folder, settings)


@pytest.fixture
def two(made: tuple[Path, list[CheckpointId]], tmp_path: Path, settings: Settings) -> TwoCheckpoints:
    root, names = made
    shutil.copytree(root, tmp_path / "registry")
    return TwoCheckpoints(Registry(Directory(tmp_path / "registry")), settings, *names)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """An empty bucket of an S3 that speaks HTTP on loopback; processes begun by a test find it too."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it logs every request
        fsspec.filesystem("s3").mkdir("shop")
        yield "s3://shop"
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a registry may be begun."""
    return (
        str(tmp_path / "registry")
        if request.param == "directory"
        else f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
    )


@pytest.fixture
def judged_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial's policy looks a hundred times a second."""
    monkeypatch.setattr("serve.trials.trial.JUDGE_S", 0.01)
