"""What a test needs from outside: where it is missing the test is skipped with the reason, in CI it fails."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest


def module(name: str, package: str) -> ModuleType:
    """An imported module of a package that not every machine has."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return _missing(f"the Python package {package} is not installed")


def program(name: str, package: str) -> str:
    """The path of a program that comes with a Debian package."""
    return shutil.which(name) or _missing(f"{name} is not installed (Debian's package {package})")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and in CI it has to be")
    pytest.skip(reason)
