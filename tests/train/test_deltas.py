"""What was learned over a packaged base is published alone; added up, it is what a training publishes whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from prometheus_client import CollectorRegistry
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from route_feedback import main
from serve.activation.activation import ActivationRequest, Activator
from serve.activation.proof import record, verify
from serve.activation.strategy import BlueGreen, InPlace
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.active import Active
from serve.routing.loading import pair_of
from serve.routing.packaged import PackagedBase, directory_of, registered
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.routing.source import loadable
from serve.settings import Settings
from serve.start import First, first_pair, limits_of, metrics_on
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import DeltaOf, Manifest, checkpoint_id, hashes, publish, read_manifest
from taxonomy.errors import CheckpointInvalid, FingerprintDiffers, RecipeInvalid
from tests.support.bases import rewrite, small_package
from tests.support.torch_engine import TorchEngine
from train.recipe import Recipe
from train.run import run

ADAPTER = "adapter_model.safetensors"
WEIGHTS = "model.safetensors"
PROBES = ("It came late, and the app crashes.", "Love it!", "ok", "Refund still not here.")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def base(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackagedBase]:
    """A small model in a package, known by its name."""
    site = tmp_path_factory.mktemp("site")
    made = small_package(site, "tiny", tied=True)
    with pytest.MonkeyPatch.context() as environment, registered(made):
        environment.syspath_prepend(str(site))
        environment.setenv("ROUTE_FEEDBACK_CACHE", str(cache))
        yield made


def asked(**changes: Any) -> Recipe:
    stated = {"base": "tiny", "adapter": {"rank": 4}, "form": "marked", "publish": "delta", "corpus": 24}
    optimisation = {"comments": 16, "batch": 8, "learning_rate": 1e-2}
    return Recipe.model_validate(stated | {"optimisation": optimisation} | changes)


def trained(out: Path, **changes: Any) -> Path:
    run(asked(**changes), out, lambda _: None)
    return out


@pytest.fixture(scope="module")
def delta(base: PackagedBase, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 (it must be known)
    """In bfloat16, with the tokens of the form `marked`."""
    return trained(tmp_path_factory.mktemp("delta") / "out")


def pair_in(cache: Path, folder: Path) -> Pair:
    return pair_of(str(folder), bundled_taxonomy(), cache)


def router_on(pair: Pair) -> Router:
    engine = TorchEngine(pair.automaton, Path(pair.model.path))
    return Router(pair, engine, limits_of(Settings()), context=4096)


async def proven(folder: Path, cache: Path) -> Manifest:
    """The folder's manifest with a fingerprint, written."""
    fingerprint = await record(router_on(pair_in(cache, folder)), PROBES)
    manifest = read_manifest(folder).model_copy(update={"fingerprint": fingerprint})
    publish(folder, manifest)
    return manifest


def changed(delta: Path, folder: Path, **manifest: Any) -> Path:
    """A copy, published anew as it then is."""
    if not folder.exists():
        shutil.copytree(delta, folder)
    files = hashes(folder)
    ours = {"files": files, "version": checkpoint_id(files)}
    publish(folder, read_manifest(folder).model_copy(update=ours | manifest))
    return folder


def test_it_holds_what_was_learned_and_the_tokenizer_and_names_its_base(delta: Path, base: PackagedBase) -> None:
    manifest = read_manifest(delta)
    assert manifest.delta_of == DeltaOf(base="tiny", digest=base.digest, dtype="bfloat16")
    assert not (delta / WEIGHTS).exists()
    tensors = load_file(delta / ADAPTER)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    config = json.loads((delta / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("tiny", base.digest)
    rows = [tensor for name, tensor in tensors.items() if "lora" not in name]
    assert [len(tensor) for tensor in rows] == [len(config["trainable_token_indices"])]
    assert config["target_modules"] == sorted(config["target_modules"]), "alike in every process"


@pytest.mark.parametrize("form", ["marked", "verbatim"])
def test_the_sum_is_what_a_training_publishes_whole_to_the_bit(
    form: str, base: PackagedBase, cache: Path, tmp_path: Path
) -> None:
    alone = trained(tmp_path / "alone", form=form, dtype="float32")
    whole = trained(tmp_path / "whole", form=form, dtype="float32", publish="whole")
    merged = Path(pair_in(cache, alone).model.path)
    ours, theirs = load_file(merged / WEIGHTS), load_file(whole / WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    before = load_file(directory_of(base, cache) / WEIGHTS)
    assert not torch.equal(
        before["model.layers.0.mlp.up_proj.weight"].float(), ours["model.layers.0.mlp.up_proj.weight"]
    )
    assert {file.name for file in merged.iterdir()} == {file.name for file in whole.iterdir()} - {"manifest.json"}
    one, other = (json.loads((folder / "config.json").read_text()) for folder in (merged, whole))
    assert one | {"use_cache": None} == other | {"use_cache": None}, "the Trainer switches that off"
    assert (merged / "chat_template.jinja").read_bytes() == (whole / "chat_template.jinja").read_bytes()
    written = [(folder / "tokenizer.json").read_text() for folder in (merged, whole)]
    assert json.loads(written[0]) == json.loads(written[1])
    assert len(written[0]) < 0.7 * len(written[1]), "without indents"


def test_in_bfloat16_it_is_what_peft_makes_of_the_same_files(delta: Path, base: PackagedBase, cache: Path) -> None:
    begun = AutoModelForCausalLM.from_pretrained(directory_of(base, cache), dtype=torch.float32)
    tokens = json.loads((delta / "adapter_config.json").read_text())["trainable_token_indices"]
    begun.resize_token_embeddings(max(tokens) + 1, mean_resizing=False)
    theirs = PeftModel.from_pretrained(begun, delta).merge_and_unload().to(torch.bfloat16).state_dict()
    ours = load_file(Path(pair_in(cache, delta).model.path) / WEIGHTS)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert ours["model.embed_tokens.weight"].dtype == torch.bfloat16


@pytest.mark.usefixtures("base")
async def test_a_fingerprint_of_the_whole_proves_the_sum_and_the_other_way_round(cache: Path, tmp_path: Path) -> None:
    alone = trained(tmp_path / "alone", dtype="float32")
    whole = trained(tmp_path / "whole", dtype="float32", publish="whole")
    other = trained(tmp_path / "other", dtype="float32", seed=1)
    routers = [router_on(pair_in(cache, folder)) for folder in (alone, whole, other)]
    recorded = [await record(router, PROBES) for router in routers]
    assert await verify(routers[0], recorded[1]) == 0
    assert await verify(routers[1], recorded[0]) == 0
    with pytest.raises(FingerprintDiffers, match="probe 1 of"):
        await verify(routers[2], recorded[0])


async def test_a_service_that_begins_with_it_proves_what_was_added_up(delta: Path, cache: Path, tmp_path: Path) -> None:
    folder = changed(delta, tmp_path / "copy")
    settings = Settings(checkpoint=str(folder), cache=cache)
    assert first_pair(settings).fingerprint is None
    fingerprint = (await proven(folder, cache)).fingerprint
    first = first_pair(settings)
    assert first == First(first.pair, fingerprint)
    assert fingerprint
    assert (first.pair.checkpoint, first.pair.model.adapter) == (read_manifest(delta).version, None)
    assert await verify(router_on(first.pair), fingerprint) == 0


def test_it_is_added_up_once_and_alike_for_all_who_begin_at_once(delta: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(lambda _: loadable(str(delta), tmp_path), range(3))
    assert others == [first, first]
    made = (Path(first) / WEIGHTS).stat().st_mtime_ns
    left = Path(first).with_name(f".{Path(first).name}.0123.unfinished")
    left.mkdir()
    assert loadable(str(delta), tmp_path) == first
    assert (Path(first) / WEIGHTS).stat().st_mtime_ns == made
    shutil.rmtree(first)
    assert loadable(str(delta), tmp_path) == first
    assert not left.exists(), "what a killed merge left"
    assert [place for place in (tmp_path / "merged").iterdir() if place.is_dir()] == [Path(first)]


def test_its_whole_weights_have_the_dtype_of_the_manifest(delta: Path, base: PackagedBase, tmp_path: Path) -> None:
    wide = changed(delta, tmp_path / "wide", delta_of=DeltaOf(base="tiny", digest=base.digest, dtype="float32"))
    weights = load_file(Path(loadable(str(wide), tmp_path)) / WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_file_that_was_altered_is_named(delta: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(delta, folder)
    with (folder / ADAPTER).open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\x01\x02")
    with pytest.raises(CheckpointInvalid, match=f"{ADAPTER} is altered; copy the checkpoint again"):
        pair_in(cache, folder)
    with pytest.raises(CheckpointInvalid, match=f"{ADAPTER} is altered"):
        loadable(str(folder), cache)


def test_another_base_of_that_name_or_none_is_named(
    delta: Path, base: PackagedBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = read_manifest(delta).version
    assert main(["checkpoint", "verify", str(delta)]) == 0
    assert f"{version} is whole" in (said := capsys.readouterr().out)
    assert "over tiny" in said
    of_another = changed(delta, tmp_path / "other", delta_of=DeltaOf(base="tiny", digest="0123", dtype="bfloat16"))
    reason = f"{version} was made over tiny of SHA-256 0123, this release has {base.digest}; install the release"
    with pytest.raises(CheckpointInvalid, match=reason):
        pair_in(tmp_path, of_another)
    unknown = changed(delta, tmp_path / "unknown", delta_of=DeltaOf(base="huge", digest="0123", dtype="bfloat16"))
    assert main(["checkpoint", "verify", str(unknown)]) == 1
    assert f"{version} was made over huge, which this release does not know" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_what_does_not_fit_its_base_is_refused_and_leaves_nothing(
    delta: Path, base: PackagedBase, tmp_path: Path
) -> None:
    faults: list[tuple[dict[str, Any], str]] = [
        ({"revision": "0123"}, f"is over tiny of 0123, the manifest says tiny of {base.digest}"),
        ({"use_dora": True}, "has use_dora, which are not merged"),
        ({"r": 0}, "cannot be read"),
        ({"trainable_token_indices": [5]}, "does not fit tiny"),
        ({"trainable_token_indices": [90_000]}, r"does not fit tiny \('no row for token"),
    ]
    for number, (change, reason) in enumerate(faults):
        folder = tmp_path / str(number)
        shutil.copytree(delta, folder)
        rewrite(folder / "adapter_config.json", **change)
        with pytest.raises(CheckpointInvalid, match=reason):
            loadable(str(changed(delta, folder)), tmp_path)
    assert not [place for place in (tmp_path / "merged").iterdir() if place.is_dir()]


@pytest.mark.parametrize("way", ["blue_green", "in_place"])
async def test_a_registry_has_it_and_it_is_activated_like_any_other(
    way: str, delta: Path, cache: Path, tmp_path: Path
) -> None:
    registry = Registry(Directory(tmp_path / "registry"))
    folders = [changed(delta, tmp_path / "one"), trained(tmp_path / "two", seed=1)]
    one, two = [(await proven(folder, cache)).version for folder in folders]
    for folder in folders:
        registry.add(folder, bundled_taxonomy(), "test")
    registry.activate(one, None, "test", "Ada")
    metrics = metrics_on(CollectorRegistry())
    active = Active(router_on(pair_in(cache, registry.folder(one))), metrics.answers)

    async def load(pair: Pair) -> Router:
        return router_on(pair)

    strategy = BlueGreen(load) if way == "blue_green" else Reloading(active, registry)
    activator = Activator(active, registry, strategy, cache, metrics.activations)
    activation = await activator.activate(ActivationRequest(two, "test", "Ada"))
    assert (activation.outcome, activator.serving.checkpoint, registry.read().active) == ("active", two, two)


class Reloading(InPlace):
    """Its one engine cannot take other weights, so another stands for it; all checks are made."""

    async def load(self, new: Pair) -> Router:
        return router_on(new)


def test_a_training_goes_on_from_it(delta: Path, tmp_path: Path) -> None:
    out = trained(tmp_path / "out", base=None, adapter=None, continue_from=str(delta), publish="whole")
    manifest = read_manifest(out)
    assert (manifest.delta_of, manifest.base_model) == (None, read_manifest(delta).version)
    assert (out / WEIGHTS).exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"adapter": None}, "`publish: delta` needs an `adapter` of kind `lora`"),
        ({"adapter": {"kind": "dora"}}, "`publish: delta` needs an `adapter` of kind `lora`"),
        ({"base": "org/name"}, "`publish: delta` needs a `base` that comes in a package"),
        ({"base": None, "continue_from": "runs/x"}, "`publish: delta` needs a `base` that comes in a package"),
        ({"adapter": {"keep": True}, "form": "verbatim"}, "leave out `adapter.keep`"),
        ({"choose": {}}, "`choose` may publish others"),
        ({"publish": "half"}, "Input should be 'whole' or 'delta'"),
    ],
)
@pytest.mark.usefixtures("base")
def test_a_recipe_that_cannot_be_published_so_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        asked(**changes)


@pytest.mark.usefixtures("base")
def test_new_tokens_over_a_head_of_its_own_have_no_place_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    untied = small_package(tmp_path / "site", "untied")
    with registered(untied):
        with pytest.raises(RecipeInvalid, match="head is apart from its embeddings"):
            trained(tmp_path / "refused", base="untied")
        alone = trained(tmp_path / "out", base="untied", form="verbatim")
        assert read_manifest(alone).delta_of
