"""The registry, on a disk and behind a URL: whole versions or none, whoever races, is killed or has a full disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serve.registry.object_store import store_at
from serve.registry.registry import Registry
from serve.registry.state import CheckpointState
from serve.registry.store import Directory
from serve.settings import Settings
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.gate_record import Verdict
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, publish, read_manifest, verify
from taxonomy.errors import ActivationRefused, CheckpointInvalid, CheckpointUnknown, RegistryFailed
from taxonomy.labels import CheckpointId
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.checkpoints import PROMOTED, WEIGHTS, proven, published, root_of, unpublished

TAXONOMY = bundled_taxonomy()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(Directory(tmp_path / "registry"))


@pytest.fixture
def anywhere(place: str, tmp_path: Path) -> Registry:
    """A directory in one test, objects behind a URL in the next."""
    return Registry(store_at(place, tmp_path / "cache"))


def added(registry: Registry, folder: Path, seed: int, gate: Verdict | None = None) -> Manifest:
    published(unpublished(folder, seed), gate)
    return registry.add(folder, TAXONOMY, "test")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "route_feedback", "checkpoint", *map(str, arguments)]


def leftovers(registry: Registry) -> list[Path]:
    return list(root_of(registry).rglob(".*"))


def test_a_version_is_a_copy_that_outlives_its_source(anywhere: Registry, tmp_path: Path) -> None:
    manifest = added(anywhere, tmp_path / "a", 1)
    shutil.rmtree(tmp_path / "a")
    folder = anywhere.folder(manifest.version)
    verify(folder, read_manifest(folder))
    assert anywhere.taxonomy(manifest.version) == TAXONOMY
    assert anywhere.read().get(manifest.version).state is CheckpointState.CANDIDATE
    assert not leftovers(anywhere)


def test_what_the_gate_promoted_has_passed(anywhere: Registry, tmp_path: Path) -> None:
    promoted = added(anywhere, tmp_path / "a", 1, gate=PROMOTED)
    held = added(anywhere, tmp_path / "b", 2, gate=Verdict.HOLD)
    now = anywhere.read()
    assert [now.get(m.version).state for m in (promoted, held)] == [CheckpointState.PASSED, CheckpointState.CANDIDATE]


def test_a_candidate_may_bring_its_gate_record_later_and_one_that_passed_no_longer_changes(
    anywhere: Registry, tmp_path: Path
) -> None:
    version = added(anywhere, tmp_path / "a", 1).version
    published(tmp_path / "a", gate=PROMOTED)
    anywhere.add(tmp_path / "a", TAXONOMY, "test")
    assert anywhere.read().get(version).state is CheckpointState.PASSED
    decision = anywhere.manifest(version).decision
    assert decision
    assert decision.verdict is PROMOTED
    published(tmp_path / "a", scores={"better": 1.0})
    with pytest.raises(ActivationRefused, match="passed in the registry; its manifest no longer changes"):
        anywhere.add(tmp_path / "a", TAXONOMY, "test")


def test_adding_twice_changes_nothing(anywhere: Registry, tmp_path: Path) -> None:
    added(anywhere, tmp_path / "a", 1, gate=PROMOTED)
    before = anywhere.read()
    anywhere.add(tmp_path / "a", TAXONOMY, "test")
    assert anywhere.read() == before


def test_what_is_not_whole_or_for_another_taxonomy_does_not_come_in(anywhere: Registry, tmp_path: Path) -> None:
    folder = unpublished(tmp_path / "a", 1)
    published(folder)
    with pytest.raises(CheckpointInvalid, match="start with the taxonomy it was trained on"):
        anywhere.add(folder, taxonomy_of([Leaf(("A",))]), "test")
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
    with pytest.raises(CheckpointInvalid, match="is altered"):
        anywhere.add(folder, TAXONOMY, "test")
    assert not anywhere.store.exists()


async def test_without_gate_or_fingerprint_it_may_not_serve(
    anywhere: Registry, tmp_path: Path, settings: Settings
) -> None:
    bare = added(anywhere, tmp_path / "a", 1)
    with pytest.raises(ActivationRefused, match="no gate record"):
        anywhere.may_serve(bare.version)
    with pytest.raises(ActivationRefused, match="no fingerprint"):
        anywhere.may_serve(bare.version, without_gate="Ada")
    await proven(unpublished(tmp_path / "b", 2), settings, gate=Verdict.REJECT)
    rejected = anywhere.add(tmp_path / "b", TAXONOMY, "test")
    with pytest.raises(ActivationRefused, match=r"verdict on .* is reject, not promote"):
        anywhere.may_serve(rejected.version)
    assert anywhere.may_serve(rejected.version, without_gate="Ada") == rejected.fingerprint


def test_with_a_key_the_gates_record_must_be_signed_with_it(tmp_path: Path) -> None:
    signing = Registry(Directory(tmp_path / "registry"), gate_key="of the gate")
    manifest = published(unpublished(tmp_path / "a", 1), PROMOTED)
    assert manifest.decision
    assert "not signed with this service's key" in signing.gate_fault(manifest)
    for key, fault in (("another", "not signed"), ("of the gate", "")):
        signed = manifest.model_copy(update={"decision": manifest.decision.signed(key)})
        assert fault in signing.gate_fault(signed)
        assert bool(signing.gate_fault(signed)) == bool(fault)
    better = signed.model_copy(update={"scores": {"test": {"leaf": 1.0}}})
    assert "of another checkpoint or other scores" in signing.gate_fault(better)


def test_the_journal_tells_who_did_what(anywhere: Registry, tmp_path: Path) -> None:
    one, two = (added(anywhere, tmp_path / str(seed), seed, gate=PROMOTED).version for seed in (1, 2))
    anywhere.activate(one, None, "ada")
    anywhere.activate(two, one, "bo", without_gate="Bo")
    anywhere.roll_back(one, two, "cy")
    told = [(e.did, e.checkpoint, e.by, e.without_gate) for e in anywhere.journal()[2:]]
    assert told == [("activate", one, "ada", None), ("activate", two, "bo", "Bo"), ("rollback", one, "cy", None)]
    assert anywhere.read().active == one


def test_a_rollback_that_would_lead_elsewhere_by_now_is_refused(anywhere: Registry, tmp_path: Path) -> None:
    one, two, three = (added(anywhere, tmp_path / str(seed), seed, gate=PROMOTED).version for seed in (1, 2, 3))
    for new, old in ((one, None), (two, one), (three, two)):
        anywhere.activate(new, old, "test")
    with pytest.raises(ActivationRefused, match=f"now leads to {two}"):
        anywhere.roll_back(one, three, "test")


def test_a_registry_that_vanished_is_an_error_and_not_an_empty_one(registry: Registry, tmp_path: Path) -> None:
    version = added(registry, tmp_path / "a", 1).version
    root_of(registry).rename(tmp_path / "gone")
    for act in (registry.read, lambda: registry.manifest(version), lambda: registry.activate(version, None, "test")):
        with pytest.raises(RegistryFailed, match="No such file or directory"):
            act()
    (tmp_path / "gone").rename(root_of(registry))
    assert registry.read().get(version)


def test_a_damaged_entry_is_named(registry: Registry, tmp_path: Path) -> None:
    added(registry, tmp_path / "a", 1)
    (root_of(registry) / "journal" / "00000001" / "entry.json").write_text("{")
    with pytest.raises(RegistryFailed, match="newest entry is damaged"):
        registry.read()


def test_a_name_from_outside_is_no_path(anywhere: Registry, tmp_path: Path) -> None:
    added(anywhere, tmp_path / "a", 1)
    with pytest.raises(CheckpointUnknown):
        anywhere.manifest(CheckpointId("../../a"))


def test_processes_that_race_lose_nothing(anywhere: Registry, tmp_path: Path) -> None:
    """Six add, two of them the same version; then all of them activate their own, and one at a time is active."""
    folders = [tmp_path / str(seed) for seed in range(5)]
    manifests = [published(unpublished(folder, seed), gate=PROMOTED) for seed, folder in enumerate(folders)]
    anywhere.store.begin()
    adding = [
        subprocess.Popen(command("add", folder, "--registry", str(anywhere.store)), stderr=subprocess.PIPE)
        for folder in [*folders, folders[0]]
    ]
    assert [(process.wait(120), process.communicate()[1]) for process in adding] == [(0, b"")] * 6
    now = anywhere.read()
    assert set(now.checkpoints) == {manifest.version for manifest in manifests}
    for manifest in manifests:
        verify(anywhere.folder(manifest.version), manifest)
    program = (
        "import sys; from pathlib import Path; from serve.registry.object_store import store_at\n"
        "from serve.registry.registry import Registry; from taxonomy.errors import *\n"
        "registry = Registry(store_at(sys.argv[1], Path(sys.argv[3]))); done = 0\n"
        "while done < 4:\n"
        "    try: registry.activate(sys.argv[2], registry.read().active, sys.argv[2])\n"
        "    except ActivationRefused: continue\n"
        "    done += 1\n"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(anywhere.store), manifest.version, str(tmp_path / "cache")]
        )
        for manifest in manifests
    ]
    assert [process.wait(120) for process in racing] == [0] * 5
    journal = anywhere.journal()
    assert [entry.number for entry in journal] == list(range(1, 6 + 5 * 4 + 1))
    for entry in journal[6:]:
        assert entry.after.active == entry.checkpoint
    assert not leftovers(anywhere)


def test_kill_9_in_the_middle_leaves_whole_versions_or_none(registry: Registry, tmp_path: Path) -> None:
    folder = unpublished(tmp_path / "a", 1)
    (folder / "padding.bin").write_bytes(os.urandom(64 << 20))
    manifest = published(folder)
    root_of(registry).mkdir()
    caught = 0
    for _ in range(5):
        process = subprocess.Popen(command("add", folder, "--registry", root_of(registry)))
        while process.poll() is None and not list(root_of(registry).glob("versions/.*unfinished/padding.bin")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        caught += not registry.folder(manifest.version).exists()
        assert manifest.version not in registry.read().checkpoints or registry.folder(manifest.version).exists()
        for unfinished in root_of(registry).glob("versions/.*"):
            shutil.rmtree(unfinished)
        if registry.folder(manifest.version).exists():
            break
    assert caught, "no process was caught while it copied"
    assert registry.add(folder, TAXONOMY, "test") == manifest
    verify(registry.folder(manifest.version), manifest)
    assert registry.read().get(manifest.version)


def test_a_version_whose_entry_was_never_written_is_completed_by_adding_it_again(
    registry: Registry, tmp_path: Path
) -> None:
    """What kill -9 leaves between the two renames."""
    manifest = added(registry, tmp_path / "a", 1)
    shutil.rmtree(root_of(registry) / "journal")
    assert registry.read().checkpoints == {}
    registry.add(tmp_path / "a", TAXONOMY, "test")
    assert registry.read().get(manifest.version)


def test_a_full_disk_leaves_no_half_version_and_says_so(registry: Registry, tmp_path: Path) -> None:
    """A limit on the size of files fails the write of a real file, as a full disk does."""
    folder = unpublished(tmp_path / "a", 1)
    (folder / "padding.bin").write_bytes(os.urandom(4 << 20))
    manifest = published(folder)
    root_of(registry).mkdir()
    done = subprocess.run(
        command("add", folder, "--registry", root_of(registry), "--json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not leftovers(registry)
    assert registry.read().checkpoints == {}
    assert registry.add(folder, TAXONOMY, "test") == manifest


def test_a_manifest_is_replaced_whole_while_others_read_it(registry: Registry, tmp_path: Path) -> None:
    manifest = added(registry, tmp_path / "a", 1)
    folder = registry.folder(manifest.version)
    publish(folder, manifest.model_copy(update={"scores": {"test": 1.0}}))
    assert read_manifest(folder).scores == {"test": 1.0}
    assert [file.name for file in folder.glob("*manifest*")] == [MANIFEST]


async def test_the_commands_speak_json(registry: Registry, tmp_path: Path, settings: Settings) -> None:
    def asked(*arguments: str) -> tuple[int, dict[str, object], str]:
        done = subprocess.run(
            command(*arguments, "--registry", str(registry.store), "--json"),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    one = (await proven(unpublished(tmp_path / "1", 1), settings)).version
    two = (await proven(unpublished(tmp_path / "2", 2), settings, gate=None)).version
    assert asked("add", str(tmp_path / "1"))[1] == {"checkpoint": one, "state": "passed", "gate": "passed"}
    assert asked("add", str(tmp_path / "2"))[1]["state"] == "candidate"
    assert asked("activate", one)[1] == {"active": one}
    code, _, said = asked("activate", two)
    assert (code, "no gate record" in said) == (1, True)
    assert asked("activate", two, "--without-gate", "Ada")[1] == {"active": two}
    changes = asked("show", two)[1]["changes"]
    assert isinstance(changes, list)
    assert changes[-1]["without_gate"] == "Ada"
    assert asked("rollback")[1] == {"active": one}
    listed = asked("list")[1]
    assert (listed["active"], listed["rollback"]) == (one, None)
    assert asked("show", "ck_none")[0] == 1
