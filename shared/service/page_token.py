"""The token of a node's pages in its file: one that is configured, or one of the data directory's, made once.

It is asked for in mode `strict`, and wherever a file is configured. All processes of a node have the same.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley.shared.config import Config
from parley.shared.errors import ConfigError, StorageError
from parley.shared.http.tokens import TokenCheck
from parley.shared.trust_storage.key_files import make_file, read_file

FILE: Final = "http.token"
KEY: Final = "configuration key http.token_file (PARLEY_HTTP__TOKEN_FILE)"
BYTES: Final = 32
_TOKEN: Final = re.compile(rb"[!-~]{16,256}")
_MOST: Final = 512
"""Bytes that are read of such a file."""


class PageToken:
    """Of one process. ConfigError where the configured file has no token."""

    def __init__(self, config: Config) -> None:
        self._data_dir = Path(config.data_dir)
        self._is_configured = bool(config.http.token_file)
        self._is_asked_for = self._is_configured or not config.security.allows_plain
        self._token = token_in(config.http.token_file, KEY) if self._is_configured else None

    def open(self, server_id: str) -> None:
        """Have the token of the node of that name. StorageError where it can be neither read nor made."""
        if self._is_asked_for and not self._is_configured:
            self._token = have_token(token_path(self._data_dir, server_id))

    def check(self, now: Callable[[], float]) -> TokenCheck | None:
        """The check of what is shown; None: no token is asked for. `now()`: seconds, monotonic."""
        return TokenCheck(lambda: self._token, now) if self._is_asked_for else None


def token_path(data_dir: Path, server_id: str) -> Path:
    """The file of a node's token."""
    return data_dir / server_id / FILE


def token_in(file: str, named_by: str) -> bytes:
    """The token in a file that somebody named, by what. ConfigError where there is none."""
    try:
        token = read_token(Path(file))
    except OSError as error:
        raise ConfigError(f"{named_by}: cannot read {file}: {error.strerror}") from None
    if token is None:
        raise ConfigError(f"{named_by}: the first line of {file} is no token: 16 to 256 characters without spaces")
    return token


def read_token(path: Path) -> bytes | None:
    """The token in a file's first line; None: there is none. OSError where it cannot be read."""
    line = (read_file(path, _MOST) or b"").partition(b"\n")[0].strip()
    return line if _TOKEN.fullmatch(line) else None


def have_token(path: Path) -> bytes:
    """The token in that file, made where there is none. StorageError where it can be neither read nor made."""
    try:
        if read_file(path) is None:
            make_file(path, secrets.token_hex(BYTES).encode() + b"\n")
        token = read_token(path)
    except OSError as error:
        raise StorageError(f"cannot keep the token of this node's pages in {path}: {error.strerror}") from None
    if token is None:
        raise StorageError(f"{path} holds no token: remove it, and a new one is made")
    return token
