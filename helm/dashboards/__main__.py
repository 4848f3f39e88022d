"""The dashboards as code: `python -m helm.dashboards` writes them into the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from helm.dashboards.build import DASHBOARDS, written

OUT: Final = Path(__file__).parents[1] / "route-feedback" / "dashboards"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for name in DASHBOARDS:
        (OUT / f"{name}.json").write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
