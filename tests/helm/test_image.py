"""The Dockerfile cannot be built here; what it says is held against the repository and the chart."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.helm.conftest import Render, of_kind

DOCKERFILE = Path("Dockerfile").read_text()


def test_it_ends_as_the_user_that_the_chart_runs(render: Render) -> None:
    (user,) = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    pod = of_kind(render(), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert f"--uid {user}" in DOCKERFILE


def test_the_charts_arguments_follow_its_entry_point() -> None:
    assert 'ENTRYPOINT ["route-feedback"]' in DOCKERFILE
    assert "route-feedback" in tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]


def test_both_flavours_have_a_lock() -> None:
    assert set(re.findall(r"FLAVOUR=(\w+)", DOCKERFILE)) == {path.stem for path in Path("locks").glob("?pu.txt")}


def test_all_that_is_installed_reaches_the_build() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    let_in = {line[1:] for line in Path(".dockerignore").read_text().splitlines() if line.startswith("!")}
    setuptools = project["tool"]["setuptools"]
    wanted = {name.rstrip("*") for name in setuptools["packages"]["find"]["include"]}
    wanted |= {f"{name}.py" for name in setuptools["py-modules"]}
    wanted |= {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml", "locks"}
    assert let_in == wanted
    assert all(Path(name).exists() for name in let_in)


@pytest.mark.parametrize("lock", sorted(Path("locks").glob("*-serve.txt")))
def test_a_lock_for_the_service_alone_has_all_that_it_imports(lock: Path) -> None:
    locked = {normal(name) for name in re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)}
    installed = packages_distributions()
    for file, name in imports("serve", "taxonomy"):
        assert locked & {normal(each) for each in installed[name]} or name == "vllm", f"{file} imports {name}"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(*rooms: str) -> Iterator[tuple[Path, str]]:
    """Of every file the foreign packages that it imports."""
    ours = {"serve", "taxonomy", "eval", "train", *sys.stdlib_module_names}
    for file in (file for room in rooms for file in Path(room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from ((file, top) for name in names if (top := name.split(".")[0]) not in ours)
