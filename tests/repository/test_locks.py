"""The locks: whole for every Python and processor that they are for, every file known by its hash."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import requires
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

VERSIONS: Final = ("3.11", "3.12", "3.13")
PROCESSORS: Final = ("x86_64", "aarch64")
PROJECT: Final = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
PAGE: Final = Path("locks/pytorch/torch/index.html")


class Pin(NamedTuple):
    requirement: Requirement
    hashes: frozenset[str]

    @property
    def version(self) -> Version:
        (specifier,) = self.requirement.specifier
        return Version(specifier.version)


class Environment(NamedTuple):
    """An interpreter on a processor, as the markers of requirements see it."""

    version: str
    processor: str

    def holds(self, requirement: Requirement, extra: str = "") -> bool:
        marker = requirement.marker
        return marker is None or marker.evaluate(
            {
                "extra": extra,
                "implementation_name": "cpython",
                "os_name": "posix",
                "platform_machine": self.processor,
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": f"{self.version}.0",
                "python_version": self.version,
                "sys_platform": "linux",
            }
        )


ENVIRONMENTS: Final = [Environment(version, processor) for version in VERSIONS for processor in PROCESSORS]


@cache
def pins(lock: str) -> list[Pin]:
    text = re.sub(r"^ *#.*$", "", Path("locks", lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    entries = [entry.split("--hash=sha256:") for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    return [Pin(Requirement(name.strip()), frozenset(map(str.strip, hashes))) for name, *hashes in entries]


@cache
def needs(name: str) -> list[Requirement]:
    """What a package says that it needs, with all its extras; nothing of one whose code is never imported."""
    return [Requirement(each) for each in ([] if name in data_alone() else requires(name)) or []]


def data_alone() -> set[str]:
    """Packages that the project says need nothing, whatever they say themselves."""
    return {each["name"] for each in PROJECT["tool"]["uv"]["dependency-metadata"] if not each["requires-dist"]}


def installed(lock: str, environment: Environment) -> dict[str, Pin]:
    """By name what pip would install there; a name pinned twice for one environment is an error."""
    here = [(canonicalize_name(pin.requirement.name), pin) for pin in pins(lock) if environment.holds(pin.requirement)]
    assert len(dict(here)) == len(here)
    return dict(here)


def asked(*extras: str, group: bool) -> list[Requirement]:
    project = PROJECT["project"]
    named = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    return [Requirement(each) for each in [*named, *(PROJECT["dependency-groups"]["dev"] if group else [])]]


@cache
def left_out() -> set[str]:
    lines = Path("locks/overrides.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(Requirement(line).name) for line in lines if not line.startswith("#")}


def missing(lock: dict[str, Pin], environment: Environment, roots: list[Requirement]) -> list[str]:
    """What is asked for, by the roots or by what they bring, and is not pinned at a version that will do."""
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    open_ = [("the project", root) for root in roots]
    while open_:
        by, requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        if name in left_out():
            continue
        if name not in lock or not requirement.specifier.contains(lock[name].version, prereleases=True):
            found.append(f"{by} asks for {requirement}")
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            open_ += [(name, each) for each in needs(name) if environment.holds(each, extra)]
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids="-".join)
@pytest.mark.parametrize(
    ("lock", "extras", "group"),
    [("cpu.txt", ("cpu", "s3", "offline", "bases"), True), ("cpu-serve.txt", ("cpu", "s3"), False)],
)
def test_a_cpu_lock_is_whole(lock: str, extras: tuple[str, ...], group: bool, environment: Environment) -> None:  # noqa: FBT001
    assert missing(installed(lock, environment), environment, asked(*extras, group=group)) == []


@pytest.mark.parametrize("lock", ["cpu.txt", "cpu-serve.txt", "gpu.txt", "gpu-serve.txt"])
def test_every_file_is_known_by_its_hash(lock: str) -> None:
    assert all(re.fullmatch("[0-9a-f]{64}", each) for pin in pins(lock) for each in pin.hashes)
    assert [pin.requirement.name for pin in pins(lock) if not pin.hashes] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids="-".join)
def test_pytorchs_cpu_build_is_there_for_it(environment: Environment) -> None:
    torch = installed("cpu.txt", environment)["torch"]
    tag = f"cp{environment.version.replace('.', '')}"
    wheel = f"torch-{torch.version}-{tag}-{tag}-manylinux_2_28_{environment.processor}.whl"
    links = re.findall(r'href="https://([^"#]+)#sha256=([0-9a-f]+)">([^<]+)<', PAGE.read_text(encoding="utf-8"))
    (known,) = [(file, digest) for file, digest, name in links if name == wheel]
    assert known[0].endswith(wheel.replace("+", "%2B"))
    assert known[1] in torch.hashes


@pytest.mark.parametrize("build", ["cpu", "gpu"])
def test_the_services_own_lock_has_the_whole_locks_pins(build: str) -> None:
    def pinned(lock: str) -> set[str]:
        return {f"{pin.requirement.name}=={pin.version}" for pin in pins(lock)}

    assert pinned(f"{build}-serve.txt") < pinned(f"{build}.txt")


def test_another_platform_gets_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    python = tmp_path / "python"
    patched = "import platform, sys; platform.system, platform.machine = lambda: 'Darwin', lambda: 'arm64'"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{patched}; exec(sys.argv[2])" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    for name in ("Makefile", "locks", "pyproject.toml"):
        (tmp_path / name).symlink_to(Path(name).resolve())
    made = subprocess.run(
        ["make", "--no-print-directory", "setup", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stdout == ""
    said, *make = made.stderr.splitlines()
    version = ".".join(map(str, sys.version_info[:2]))
    assert said.startswith("The CPU lock is for CPython 3.11, 3.12 or 3.13 on x86-64 or 64-bit Arm Linux; ")
    assert f"cpython {version} Darwin arm64" in said
    assert "PYTHON=" in said
    assert len(make) == 1
    assert not (tmp_path / ".venv").exists()
