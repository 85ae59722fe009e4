"""Writes the dashboards: `make dashboards`. Grafana reads the JSON; nobody edits it by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.boards import messages, processes, typing_and_location
from deploy.grafana.federation import federation

HERE: Final = Path(__file__).parent / "dashboards"
BOARDS: Final = {
    "federation": federation,
    "messages": messages,
    "typing-location": typing_and_location,
    "processes": processes,
}


def text(name: str) -> str:
    """A dashboard's JSON."""
    return JSONEncoder(sort_keys=True, indent=2).encode(BOARDS[name]().build()) + "\n"


def main() -> None:
    """Write all of them."""
    for name in BOARDS:
        HERE.joinpath(f"{name}.json").write_text(text(name), encoding="utf-8")
        sys.stdout.write(f"{name}.json\n")


if __name__ == "__main__":
    main()
