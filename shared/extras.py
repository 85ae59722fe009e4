"""Modules that a base installation goes without, and the sentence that says so. Pure.

The base is the client library's. The command line and the processes of a node are extras of the distribution
(pyproject.toml), and a module that is not there names the extra which brings it.
"""

from __future__ import annotations

from typing import Final

from parley.shared.version import DISTRIBUTION

EXTRAS: Final = {
    "cli": frozenset({"mnemonic", "prompt_toolkit", "rich", "segno", "typer"}),
    "node": frozenset({"argon2", "h11", "prometheus_client"}),
}
"""Extra → the modules that nothing of it works without."""


def needed_extra(missing: ModuleNotFoundError) -> str:
    """The extra to install for a module that is not there, in words; empty where no extra brings it."""
    top_level = (missing.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if top_level in modules), "")
    return f"{top_level} is not installed; pip install '{DISTRIBUTION}[{extra}]' brings it" if extra else ""
