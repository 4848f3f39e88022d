"""A version that is an adapter: the registry has its base, its pair has both, and an engine has room for it or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from route_feedback import main
from serve.activation.activation import ActivationRequest
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.loading import pair_of
from serve.settings import Settings
from serve.start import load_pair
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.adapter import adapter_of
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.errors import ActivationRefused, CheckpointInvalid, CheckpointUnknown, EngineFailed
from tests.support.checkpoints import adapted, proven, published, root_of, router_on, unpublished
from tests.support.two_checkpoints import TwoCheckpoints


@pytest.fixture
async def base(tmp_path: Path, settings: Settings) -> Path:
    folder = unpublished(tmp_path / "base", 1)
    await proven(folder, settings)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return adapted(tmp_path / "small", tmp_path / "merged")[0]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "registry").mkdir()
    return Registry(Directory(tmp_path / "registry"))


def test_its_pair_is_the_base_with_the_adapter_under_the_adapters_name(
    registry: Registry, base: Path, small: Path, settings: Settings
) -> None:
    below = registry.add(base, bundled_taxonomy(), "test").version
    version = adapter_of(small, registry.manifest(below)).version
    registry.add(small, bundled_taxonomy(), "test")
    pair = pair_of(str(registry.folder(version)), bundled_taxonomy(), settings.cache)
    assert (pair.checkpoint, pair.model.path) == (version, str(registry.folder(below)))
    assert pair.model.adapter == str(registry.folder(version))
    beside = settings.model_copy(update={"checkpoint": str(small), "registry": str(root_of(registry))})
    assert load_pair(beside).model.path == str(registry.folder(below))


def test_without_its_base_it_is_neither_added_nor_loaded(
    registry: Registry, base: Path, small: Path, settings: Settings
) -> None:
    version = adapter_of(small, read_manifest(base)).adapter_of
    with pytest.raises(CheckpointUnknown, match=f"no checkpoint {version}"):
        registry.add(small, bundled_taxonomy(), "test")
    with pytest.raises(CheckpointInvalid, match=f"no checkpoint directory .*{version}"):
        pair_of(str(small), bundled_taxonomy(), settings.cache)


def test_a_command_makes_a_version_of_what_peft_saved(
    registry: Registry, base: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = registry.add(base, bundled_taxonomy(), "test").version
    asked = ["checkpoint", "adapt", str(small), "--base", below, "--registry", str(root_of(registry))]
    assert main(asked) == 0
    assert f"{read_manifest(small).version}, an adapter of {below}" in capsys.readouterr().out
    assert main([*asked[:4], "ck_none", *asked[5:]]) == 1
    assert "no checkpoint ck_none" in capsys.readouterr().err


async def test_an_engine_without_room_for_it_says_so(base: Path, settings: Settings) -> None:
    pair = pair_of(str(base), bundled_taxonomy(), settings.cache)
    router = router_on(pair, settings)
    assert not router.carries(pair)
    with pytest.raises(EngineFailed, match=f"no place for {pair.checkpoint}"):
        await router.beside(pair)


async def test_it_is_not_loaded_in_place(two: TwoCheckpoints, small: Path) -> None:
    two.activator = two.activator_on(None)
    manifest = adapter_of(small, two.registry.manifest(two.first))
    recorded = two.registry.manifest(two.second).fingerprint
    published(small, base=manifest, fingerprint=recorded)
    two.registry.add(small, bundled_taxonomy(), "test")
    with pytest.raises(ActivationRefused, match="is an adapter; not in place"):
        await two.activator.activate(ActivationRequest(manifest.version, "test", "Ada"))
