"""A registry behind a URL: what fsspec reaches, such as an object store (`s3://`, `gs://`, `abfs://`).

An object store has no rename. It can create an object only where there is none, which is all that a record needs; a
checkpoint's manifest is written after its files. What is to be loaded is fetched into a cache first, and proven there.
"""

from __future__ import annotations

import errno
import json
import logging
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import fsspec

from serve.registry.store import Directory, RecordKind, Store, checkpoint_file, file_of, taxonomy_file
from taxonomy.checkpoint.manifest import Manifest, parsed_manifest, publish, read_manifest, verify
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.files import appeared
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.labels import CheckpointId
from taxonomy.tree import Taxonomy

log = logging.getLogger(__name__)
MARK: Final = "registry.json"
"""An empty prefix and none are one: this object says that a registry is there."""


def store_at(place: str, cache: Path) -> Store:
    """A directory's path, or a URL that fsspec knows; then checkpoints are fetched into a folder of `cache`.

    Raises CallWrong.
    """
    protocol, found, path = place.partition("://")
    if not found:
        return Directory(Path(place))
    if protocol in {"file", "local"}:
        return Directory(Path(path))
    try:
        # What others have written meanwhile is to be seen: no listing is remembered.
        files, root = fsspec.url_to_fs(place, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise CallWrong(f"registry {place}: {error}") from error
    return ObjectStore(place, files, root, cache / "checkpoints")


class ObjectStore:
    """Objects below a root, on a file system that creates one only where there is none."""

    def __init__(self, url: str, files: fsspec.AbstractFileSystem, root: str, cache: Path) -> None:
        self._url, self._fs, self._root, self._cache = url, files, root.rstrip("/"), cache

    def __str__(self) -> str:
        return self._url

    def exists(self) -> bool:
        with self._translated(MARK):
            return bool(self._fs.exists(self._at(MARK)))

    def begin(self) -> None:
        if not self.exists():
            self._write(MARK, json.dumps({"layout": 1}).encode())

    def numbers(self, kind: RecordKind) -> list[int]:
        with self._translated(kind):
            try:
                listed = self._fs.ls(self._at(kind), detail=False, refresh=True)
            except FileNotFoundError:
                if not self._fs.exists(self._at(MARK)):
                    raise
                return []
        names = (path.rstrip("/").rpartition("/")[2] for path in listed)
        return sorted(int(name) for name in names if name.isdigit())

    def read(self, kind: RecordKind, number: int) -> bytes:
        return self._read(file_of(kind, number))

    def create(self, kind: RecordKind, number: int, text: str) -> bool:
        if not self._creates:
            raise OSError(errno.ENOTSUP, "objects that are there are overwritten; take a directory", self._url)
        return self._created(file_of(kind, number), text.encode())

    def rewrite(self, kind: RecordKind, number: int, text: str) -> None:
        self._write(file_of(kind, number), text.encode())

    def taxonomy(self, name: str) -> Taxonomy:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.json"
            file.write_bytes(self._read(taxonomy_file(name)))
            return load_taxonomy(file)

    def keep(self, taxonomy: Taxonomy) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "taxonomy.json"
            save_taxonomy(taxonomy, file)
            self._write(taxonomy_file(taxonomy.version), file.read_bytes())

    def manifest(self, checkpoint: CheckpointId) -> Manifest:
        name = checkpoint_file(checkpoint)
        return parsed_manifest(self._read(name), f"{self._url}/{name}")

    def put(self, folder: Path, manifest: Manifest) -> bool:
        with self._translated(manifest.version):
            if self._fs.exists(self._at(checkpoint_file(manifest.version))):
                return False
            for name in manifest.files:
                self._fs.put_file(str(folder / name), self._at(checkpoint_file(manifest.version, name)))
        self.check(folder, manifest)
        self.publish(manifest)
        return True

    def publish(self, manifest: Manifest) -> None:
        self._write(checkpoint_file(manifest.version), f"{manifest.model_dump_json(indent=1)}\n".encode())

    def check(self, folder: Path, manifest: Manifest) -> None:
        """By their sizes: hashing would fetch them. Who loads the checkpoint hashes what was fetched."""
        for name in manifest.files:
            file = checkpoint_file(manifest.version, name)
            with self._translated(file):
                there, ours = self._fs.info(self._at(file))["size"], (folder / name).stat().st_size
            if there != ours:
                raise CheckpointInvalid(
                    f"{self._url}/{file} has {there} bytes, {folder / name} {ours}; remove it there and add it again"
                )

    def where(self, checkpoint: CheckpointId) -> str:
        return f"{self._url}/versions/{checkpoint}"

    def folder(self, checkpoint: CheckpointId) -> Path:
        manifest, folder = self.manifest(checkpoint), self._cache / checkpoint
        if not folder.is_dir():
            # False where another process that shares the cache was faster: what it fetched is as good.
            appeared(folder, partial(self._fetch, manifest))
        if read_manifest(folder) != manifest:
            publish(folder, manifest)
        if manifest.adapter_of:
            self.folder(manifest.adapter_of)
        return folder

    def _fetch(self, manifest: Manifest, folder: Path) -> None:
        log.info("fetching %s from %s", manifest.version, self._url)
        for name in manifest.files:
            file = checkpoint_file(manifest.version, name)
            with self._translated(file):
                self._fs.get_file(self._at(file), str(folder / name))
        verify(folder, manifest)
        publish(folder, manifest)

    @cached_property
    def _creates(self) -> bool:
        """Whether what is there is not overwritten: fsspec's file systems do not all honour it."""
        name = f"trying/{uuid.uuid4().hex}"
        try:
            return self._created(name, b"1") and not self._created(name, b"2")
        finally:
            with self._translated(name):
                self._fs.rm_file(self._at(name))

    def _created(self, name: str, data: bytes) -> bool:
        with self._translated(name):
            try:
                self._fs.pipe_file(self._at(name), data, mode="create")
            except OSError:
                # Stores say "there is one" in many ways; and who tries again after a lost answer finds his own.
                if not self._fs.exists(self._at(name)):
                    raise
                return bool(self._fs.cat_file(self._at(name)) == data)
        return True

    def _read(self, name: str) -> bytes:
        with self._translated(name):
            data: bytes = self._fs.cat_file(self._at(name))
        return data

    def _write(self, name: str, data: bytes) -> None:
        with self._translated(name):
            self._fs.pipe_file(self._at(name), data)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Whatever a file system raises is an OSError that names the object."""
        try:
            yield
        except Exception as error:
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
            raise OSError(number, " ".join(str(error).split()) or repr(error), f"{self._url}/{name}") from error
