"""The things by which a client proves its user: this device's key, a password, a session token.

One object for all features of a user in a process: what chat is given (a session token), typing and location show.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley.client.trust.user_directory import UserDirectory
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.errors import ConfigError
from parley.shared.names import fold
from parley.shared.telemetry import logs
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb

_shared: Final[weakref.WeakValueDictionary[tuple[str, ...], UserTrust]] = weakref.WeakValueDictionary()
"""User and directory → what all features of that user in this process share."""


ASKED: Final = "-"
"""Stands in `client.password_file` for a password that the program asks for, and sets itself."""
LONGEST: Final = 1024
"""Characters of a password."""


def read_password(path: str) -> str:
    """The first line of a file. ConfigError where there is none."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.readline(LONGEST + 1).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no UTF-8 text"
        raise ConfigError(f"client.password_file: {path} cannot be read: {why.lower()}") from None
    if not 0 < len(text) <= LONGEST:
        raise ConfigError(f"client.password_file: the first line of {path} is no password")
    return text


class UserTrust:
    """One user's, on this machine. `notice` is called with each line that people are to read."""

    def __init__(self, user: User, directory: UserDirectory | None) -> None:
        self.user = user
        self.directory = directory
        self.notice: Callable[[str], None] = self._log
        self.password = ""
        """Given instead of a key, inside of TLS and to a pinned server only; empty: none."""
        self.token: pb.SessionToken | None = None
        """The session that the home server began last; it is kept in memory alone."""
        self._device: PrivateKey | None = None
        self._looked = False
        self.last_refusal = ""
        """Why a feature of the user was not let in, as it was told last; empty: one was let in since."""

    @classmethod
    def of(cls, user: User, config: Config) -> UserTrust:
        """The one that this user's features in this process share."""
        directory = UserDirectory.of(config)
        key = (user.user_id, fold(user.server_id), str(directory.path) if directory is not None else "")
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = cls(user, directory)
        if config.client.password_file not in ("", ASKED):
            found.password = read_password(config.client.password_file)
        return found

    @property
    def device(self) -> PrivateKey | None:
        """This device's key, made when it is first asked for. None: there is nowhere to keep one."""
        if not self._looked:
            self._looked = True
            self._device = self._find_device()
        return self._device

    def _find_device(self) -> PrivateKey | None:
        if self.directory is None:
            self.notice(f"no key for {self.user}: there is no home directory; set PARLEY_CLIENT__DATA_DIR")
            return None
        try:
            key, is_new = self.directory.make_device(self.user)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.notice(f"no key for {self.user}: {self.directory.path}: {why.lower()}")
            return None
        self.is_new = is_new
        return key

    is_new = False
    """Whether the key was made now, and people have not been told of it."""

    def proven(self) -> None:
        """The home server took our key: at its first use, say that the name is ours now."""
        if self.is_new:
            self.is_new = False
            if not sys.stderr.isatty():  # what a script reads stays its own
                return
            more = f"`parley device link --as {self.user}` adds another."
            self.notice(f"This device has a key now: {self.user} is yours from here on; {more}")

    def tell(self, text: str) -> None:
        """Say why a feature is not let in, once for all features."""
        if text != self.last_refusal:
            self.last_refusal = text
            self.notice(text)

    def _log(self, text: str) -> None:
        logs.get(user_server=self.user.server_id).info("client_trust", notice=text)
