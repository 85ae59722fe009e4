"""The compiled core (shared/core), where it could be built; None: everything is Python's, and does the same.

`PARLEY_PURE`, set to anything, has it left alone: for tests, and to see what it is worth.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

INTERFACE: Final = 2039186909
"""Which interface (_core.pyi) this Python was written for; module.c has the same number. Sources that are newer
than what was compiled, as after `git pull`, would call what is not there."""

core: ModuleType | None = None
is_outdated = False
"""Whether there is one, of other sources: it is left alone, too."""


def is_unwanted() -> bool:
    """Whether it is to be left alone."""
    return bool(os.environ.get("PARLEY_PURE"))


if not is_unwanted():
    try:
        from parley.shared import _core as core
    except ImportError:  # no compiler where Parley was installed
        core = None
    if core is not None and getattr(core, "INTERFACE", None) != INTERFACE:
        core, is_outdated = None, True


def why_absent() -> str:
    """A sentence for the log of a process that has none."""
    what = "Python does what Parley's compiled core would: it takes longer"
    return (
        f"{what}; the one that is here is of other sources, `make -B setup` builds it again"
        if is_outdated
        else what
    )


def same_as_compiled(**constants: int) -> None:
    """Raise ImportError unless the compiled core, where there is one, has the same constants.

    Whatever both have written calls this when it is imported; module.c lists them.
    """
    for name, value in constants.items():
        other = value if core is None else core.CONSTANTS.get(name)
        if other != value:
            raise ImportError(
                f"{name} is {value}, and {other} in the compiled core: `make -B setup` builds it again"
            )


__all__ = ["INTERFACE", "core", "is_outdated", "is_unwanted", "same_as_compiled", "why_absent"]
