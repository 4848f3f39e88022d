"""The chart, rendered by real Helm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import requirements

CHART = Path("helm/route-feedback")
Manifest = Mapping[str, Any]
Render = Callable[..., Sequence[Manifest]]


@pytest.fixture(scope="session")
def render() -> Render:
    """`rendered`, where Helm is to be had."""
    requirements.module("helm_python", "helm-python-sdk")
    return rendered


def rendered(values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Values over the chart's own -> the manifests of a release `demo` in the namespace `prod`."""
    helm = requirements.module("helm_python", "helm-python-sdk")
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(dict(values or {}), name="demo", namespace="prod")
    documents = (yaml.safe_load_all(text) for name, text in files.items() if name.endswith(".yaml"))
    return [document for of_file in documents for document in of_file if document]


def of_kind(manifests: Sequence[Manifest], kind: str) -> Any:
    """The one manifest of that kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def profile(name: str) -> dict[str, Any]:
    """One of the chart's sets of values."""
    values: dict[str, Any] = yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text())
    return values
