"""Where a user keeps what they download: the directory that their desktop knows (xdg-user-dirs)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r'\s*XDG_DOWNLOAD_DIR="((?:[^"\\]|\\.)*)"\s*')
_LARGEST: Final = 1 << 16
"""Bytes of that file that are read."""


def downloads(environ: Mapping[str, str]) -> Path | None:
    """The user's download directory, which need not exist; None: they have no home.

    It stands in `user-dirs.dirs` of the configuration's directory, or in XDG_DOWNLOAD_DIR; else it is ~/Downloads.
    """
    home = _home(environ)
    if home is None:
        return None
    said = _said(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "user-dirs.dirs", home)
    from_environment = environ.get("XDG_DOWNLOAD_DIR", "")
    if said is None and from_environment.startswith("/"):
        said = Path(from_environment)
    return said or home / "Downloads"


def _home(environ: Mapping[str, str]) -> Path | None:
    if environ.get("HOME", "").startswith("/"):
        return Path(environ["HOME"])
    try:
        return Path.home()
    except RuntimeError:
        return None


def _said(file: Path, home: Path) -> Path | None:
    """The path in the last such line: an absolute one, or one that begins with $HOME/."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(_LARGEST).splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        if found := _LINE.fullmatch(line):
            path = re.sub(r"\\(.)", r"\1", found[1])
            if path == "$HOME" or path.startswith("$HOME/"):
                return home / path.removeprefix("$HOME").lstrip("/")
            return Path(path) if path.startswith("/") else None
    return None
