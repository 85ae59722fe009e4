"""The compiled core (shared/core), where it could be built; None: everything is Python's, and does the same.

`PARLEY_PURE`, set to anything, has it left alone: for tests, and to see what it is worth.
"""

from __future__ import annotations

import os
from types import ModuleType

core: ModuleType | None = None


def is_unwanted() -> bool:
    """Whether it is to be left alone."""
    return bool(os.environ.get("PARLEY_PURE"))


if not is_unwanted():
    try:
        from shared import _core as core
    except ImportError:  # no compiler where Parley was installed
        core = None

__all__ = ["core", "is_unwanted"]
