"""A registry behind a URL: what is fetched is proven, and what such a place cannot do is said."""

from __future__ import annotations

import logging
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem

from serve.activation.follow import Follower
from serve.registry.object_store import store_at
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.settings import Settings
from serve.start import first_pair
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import Manifest, read_manifest, verify
from taxonomy.errors import CallWrong, CheckpointInvalid, RegistryFailed
from taxonomy.labels import CheckpointId
from tests.support.checkpoints import PROMOTED, WEIGHTS, published, unpublished
from tests.support.two_checkpoints import TwoCheckpoints


class Overwriting(MemoryFileSystem):  # type: ignore[misc]  # fsspec is untyped to us
    """As many file systems are: what is to be created anew replaces what is there."""

    protocol = "overwriting"
    store: dict[str, Any] = {}  # noqa: RUF012 (the base's, of its own)
    pseudo_dirs = [""]  # noqa: RUF012

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        super().pipe_file(path, value, mode="overwrite")


@pytest.fixture
def url(s3: str, tmp_path: Path) -> str:
    return f"{s3}/{tmp_path.name}"


@pytest.fixture
def registry(url: str, tmp_path: Path) -> Registry:
    return Registry(store_at(url, tmp_path / "cache"))


def added(registry: Registry, folder: Path, seed: int = 1) -> Manifest:
    published(unpublished(folder, seed), PROMOTED)
    return registry.add(folder, bundled_taxonomy(), "test")


def test_a_version_is_fetched_once_and_proven(registry: Registry, tmp_path: Path) -> None:
    manifest = added(registry, tmp_path / "a")
    folder = registry.folder(manifest.version)
    assert folder.is_relative_to(tmp_path / "cache")
    verify(folder, manifest)
    before = (folder / WEIGHTS).stat()
    assert registry.folder(manifest.version) == folder
    assert (folder / WEIGHTS).stat() == before


def test_what_the_manifest_gained_is_seen_by_who_has_fetched_it(registry: Registry, url: str, tmp_path: Path) -> None:
    published(unpublished(tmp_path / "a", 1))
    version = registry.add(tmp_path / "a", bundled_taxonomy(), "test").version
    elsewhere = Registry(store_at(url, tmp_path / "elsewhere"))
    assert read_manifest(elsewhere.folder(version)).decision is None
    published(tmp_path / "a", PROMOTED)
    registry.add(tmp_path / "a", bundled_taxonomy(), "test")
    assert elsewhere.manifest(version).decision
    assert read_manifest(elsewhere.folder(version)) == elsewhere.manifest(version)


def test_what_was_altered_there_is_not_taken(registry: Registry, url: str, tmp_path: Path) -> None:
    version = added(registry, tmp_path / "a").version
    weights = f"{url}/versions/{version}/{WEIGHTS}"
    with fsspec.open(weights, "rb") as file:
        data = file.read()
    with fsspec.open(weights, "wb") as file:
        file.write(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointInvalid, match=f"{WEIGHTS} is altered"):
        registry.folder(version)
    with fsspec.open(weights, "wb") as file:
        file.write(data[:-1])
    with pytest.raises(CheckpointInvalid, match=f"has {len(data) - 1} bytes, .* {len(data)}"):
        registry.add(tmp_path / "a", bundled_taxonomy(), "test")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_full_disk_here_leaves_no_half_version(registry: Registry, tmp_path: Path) -> None:
    """A limit on the size of files fails the write of a real file, as a full disk does."""
    (unpublished(tmp_path / "a", 1) / "padding.bin").write_bytes(os.urandom(2 << 20))
    published(tmp_path / "a")
    version = registry.add(tmp_path / "a", bundled_taxonomy(), "test").version
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(RegistryFailed, match=r"File too large .*padding\.bin"):
            registry.folder(version)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "cache" / "checkpoints").iterdir())
    verify(registry.folder(version), registry.manifest(version))


def test_a_place_without_a_registry_is_an_error_and_no_empty_one(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryFailed, match="registry s3://"):
        registry.read()
    version = added(registry, tmp_path / "a").version
    assert registry.read().get(version)
    bucket = Registry(store_at("s3://no-such-bucket/checkpoints", tmp_path / "cache"))
    with pytest.raises(RegistryFailed, match="no-such-bucket"):
        bucket.read()


def test_a_store_that_does_not_answer_is_named(registry: Registry, tmp_path: Path, s3: str) -> None:
    version = added(registry, tmp_path / "a").version
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        S3FileSystem.clear_instance_cache()
        silent = Registry(store_at(f"{s3}/checkpoints", tmp_path / "silent"))
        with pytest.raises(RegistryFailed, match=f"registry {s3}/checkpoints: .*connect"):
            silent.read()
    S3FileSystem.clear_instance_cache()
    assert registry.read().get(version)


def test_a_file_system_that_overwrites_is_refused(tmp_path: Path) -> None:
    fsspec.register_implementation("overwriting", Overwriting, clobber=True)
    registry = Registry(store_at("overwriting://shop", tmp_path / "cache"))
    with pytest.raises(RegistryFailed, match="are overwritten; take a directory"):
        added(registry, tmp_path / "a")
    assert registry.read().checkpoints == {}


@pytest.mark.parametrize("place", ["nothing://shop", "adl://shop"])
def test_a_url_that_nothing_here_reaches_is_a_wrong_call(place: str, tmp_path: Path) -> None:
    with pytest.raises(CallWrong, match=f"registry {place}"):
        store_at(place, tmp_path)


def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    registry = Registry(store_at(f"file://{tmp_path}/registry", tmp_path / "cache"))
    assert isinstance(registry.store, Directory)
    assert registry.folder(added(registry, tmp_path / "a").version).is_relative_to(tmp_path / "registry")


async def test_a_service_starts_and_swaps_and_others_follow(
    registry: Registry,
    made: tuple[Path, list[CheckpointId]],
    url: str,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root, names = made
    for name in names:
        registry.add(root / "versions" / name, bundled_taxonomy(), "test")
    registry.activate(names[0], None, "test")
    shutil.rmtree(settings.cache / "checkpoints", ignore_errors=True)
    with caplog.at_level(logging.INFO):
        first = first_pair(settings.model_copy(update={"registry": url}))
    assert first.pair.checkpoint == names[0]
    assert f"fetching {names[0]} from {url}" in caplog.text
    two = TwoCheckpoints(registry, settings, *names)
    Registry(registry.store).activate(names[1], names[0], "another replica")
    await Follower(two.replica(), two.metrics.activations, 10).look()
    assert (await two.ask())[0] == names[1]
    assert registry.read().active == names[1]
