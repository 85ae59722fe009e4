"""Directories whose names outlive a power cut, as what is in them does.

A file that was synced may still be gone after a power cut, with its name: that is safe once the directory in which
it stands was synced, and the directory's own name once its parent was.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Make a directory and its parents, where they are absent, and have their names be safe.

    The name of `path` and of its parent are made safe in any case: another process may have made them a moment ago,
    or one that was killed before it came to that. OSError: it cannot be made.
    """
    missing = 0
    for each in (path, *path.parents):
        if each.exists():
            break
        missing += 1
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    for parent in path.absolute().parents[: max(missing, 2)]:
        sync_directory(parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory be safe, where the system can be asked for it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
