"""What is missing is a reason to skip on a laptop, and a failure in CI."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import requirements


@pytest.mark.parametrize(
    "missing", [lambda: requirements.program("no-such", "no-such"), lambda: requirements.module("no_such", "x")]
)
def test_what_is_missing_skips_here_and_fails_in_ci(
    missing: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="is not installed"):
        missing()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="in CI it has to be"):
        missing()
