"""Where a registry's files lie: a directory, or what fsspec reaches by a URL.

    versions/ck_.../                  a checkpoint's files, as they were published
    taxonomies/tx_....json            the taxonomies that the checkpoints were added with
    journal/00000001/entry.json       the records of each kind, by number
    trials/00000001/evidence.json
    leases/00000001/lease.json

All that a registry needs of its place is one act: a record is created whole, and only where there is none of its
number. Of two processes that create one, the second learns so. Every method raises OSError where the place is gone.
"""

from __future__ import annotations

import shutil
import uuid
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from taxonomy.checkpoint.manifest import MANIFEST, Manifest, publish, read_manifest, verify
from taxonomy.files import appeared, write_text
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.labels import CheckpointId
from taxonomy.tree import Taxonomy


class RecordKind(StrEnum):
    """What is kept as numbered records."""

    JOURNAL = "journal"
    TRIALS = "trials"
    LEASES = "leases"


_FILES: Final = {RecordKind.JOURNAL: "entry.json", RecordKind.TRIALS: "evidence.json", RecordKind.LEASES: "lease.json"}


def folder_of(kind: RecordKind, number: int) -> str:
    """A record's folder, below the root."""
    return f"{kind}/{number:08d}"


def file_of(kind: RecordKind, number: int) -> str:
    """A record's file, below the root."""
    return f"{folder_of(kind, number)}/{_FILES[kind]}"


def checkpoint_file(checkpoint: CheckpointId, name: str = MANIFEST) -> str:
    """A checkpoint's file, below the root."""
    return f"versions/{checkpoint}/{name}"


def taxonomy_file(name: str) -> str:
    """Below the root."""
    return f"taxonomies/{name}.json"


class Store(Protocol):
    """A place for a registry; `str` names it."""

    def exists(self) -> bool:
        """Whether there is a registry here."""

    def begin(self) -> None:
        """Begin one, where there is none."""

    def numbers(self, kind: RecordKind) -> list[int]:
        """Of all records of a kind, upward."""

    def read(self, kind: RecordKind, number: int) -> bytes: ...

    def create(self, kind: RecordKind, number: int, text: str) -> bool:
        """False where there is one of this number; that one stays as it is."""

    def rewrite(self, kind: RecordKind, number: int, text: str) -> None: ...

    def taxonomy(self, name: str) -> Taxonomy:
        """Raises CallWrong or TaxonomyInvalid."""

    def keep(self, taxonomy: Taxonomy) -> None:
        """Once; another time changes nothing."""

    def manifest(self, checkpoint: CheckpointId) -> Manifest:
        """Raises CheckpointInvalid."""

    def put(self, folder: Path, manifest: Manifest) -> bool:
        """Copy a checkpoint in, whole. False where there is one of this id; its files stay.

        Raises CheckpointInvalid.
        """

    def publish(self, manifest: Manifest) -> None:
        """In place of the checkpoint's manifest."""

    def check(self, folder: Path, manifest: Manifest) -> None:
        """The checkpoint's files here are those of `folder`. Raises CheckpointInvalid."""

    def where(self, checkpoint: CheckpointId) -> str:
        """For people: where the checkpoint's files lie."""

    def folder(self, checkpoint: CheckpointId) -> Path:
        """A directory with the checkpoint's files. That of an adapter's base lies beside it."""


class Directory:
    """On a file system whose rename is atomic and refuses a name that is taken: a local disk, a volume, NFS.

    A record or a checkpoint is written under another name, synced, and renamed: it stands whole under its own name or
    not at all, whatever is killed when. So there is no lock to be held, lost or broken.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def exists(self) -> bool:
        return self._root.is_dir()

    def begin(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)

    def numbers(self, kind: RecordKind) -> list[int]:
        # The root is listed first: where it is gone, that is an error and not an empty registry.
        if self._root / kind not in self._root.iterdir():
            return []
        return sorted(int(place.name) for place in (self._root / kind).iterdir() if place.name.isdigit())

    def read(self, kind: RecordKind, number: int) -> bytes:
        return (self._root / file_of(kind, number)).read_bytes()

    def create(self, kind: RecordKind, number: int, text: str) -> bool:
        return appeared(self._root / folder_of(kind, number), lambda place: write_text(text, place / _FILES[kind]))

    def rewrite(self, kind: RecordKind, number: int, text: str) -> None:
        write_text(text, self._root / file_of(kind, number))

    def taxonomy(self, name: str) -> Taxonomy:
        return load_taxonomy(self._root / taxonomy_file(name))

    def keep(self, taxonomy: Taxonomy) -> None:
        file = self._root / taxonomy_file(taxonomy.version)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(f".{uuid.uuid4().hex}.json")
            try:
                save_taxonomy(taxonomy, unfinished)
                unfinished.replace(file)
            finally:
                unfinished.unlink(missing_ok=True)

    def manifest(self, checkpoint: CheckpointId) -> Manifest:
        return read_manifest(self.folder(checkpoint))

    def put(self, folder: Path, manifest: Manifest) -> bool:
        place = self.folder(manifest.version)
        return not place.is_dir() and appeared(place, partial(_copied, folder, manifest))

    def publish(self, manifest: Manifest) -> None:
        publish(self.folder(manifest.version), manifest)

    def check(self, folder: Path, manifest: Manifest) -> None:  # noqa: ARG002 (what lies here can be hashed itself)
        verify(self.folder(manifest.version), manifest)

    def where(self, checkpoint: CheckpointId) -> str:
        return str(self.folder(checkpoint))

    def folder(self, checkpoint: CheckpointId) -> Path:
        return self._root / "versions" / checkpoint


def _copied(folder: Path, manifest: Manifest, copy: Path) -> None:
    for name in manifest.files:
        shutil.copyfile(folder / name, copy / name)
    # The copy is read back: what the disk took is what was published.
    verify(copy, manifest)
    publish(copy, manifest)
