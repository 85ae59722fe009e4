"""The directory of a person on this machine, where the client keeps keys and pins.

DIRECTORY/devices/alice@alpha.key      this device's key, of each user at each server
DIRECTORY/received/alice@alpha.db      the numbers of messages that came, so that none counts twice
DIRECTORY/contacts/alice@alpha.db      the keys of those who wrote, so that another one is noticed
DIRECTORY/history/alice@alpha.db       conversations, as the server keeps them (client.cache)
DIRECTORY/trust/…                      the servers' keys (shared/trust_storage/)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.names import fold
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.key_files import make_key, read_key

_PLAIN: Final = re.compile(r"[a-z0-9._-]")
"""Characters that a file's name has as they are; file systems may take A and a for the same."""
MOST: Final = 200
"""Characters of a file's name; beyond them it ends in a hash."""


class UserDirectory:
    """One person's directory. Nothing is made before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<UserDirectory {self.path}>"

    @classmethod
    def of(cls, config: Config, environ: Mapping[str, str] | None = None) -> UserDirectory | None:
        """`client.data_dir`; else `parley` in XDG_DATA_HOME or in ~/.local/share. None: there is no home."""
        environ = os.environ if environ is None else environ
        if config.client.data_dir:
            return cls(Path(config.client.data_dir).absolute())
        base = environ.get("XDG_DATA_HOME", "")
        if Path(base).is_absolute():  # the XDG specification ignores a relative one
            return cls(Path(base) / "parley")
        try:
            return cls(Path.home() / ".local" / "share" / "parley")
        except RuntimeError:
            return None

    @property
    def pins(self) -> Path:
        """The directory with the servers' pins."""
        return self.path / "trust"

    def device_file(self, user: User) -> Path:
        """The file with this device's key of that user."""
        return self.path / "devices" / f"{_stem(user)}.key"

    def received_file(self, user: User) -> Path:
        """The file with the numbers of that user's messages that came."""
        return self.path / "received" / f"{_stem(user)}.db"

    def contacts_file(self, user: User) -> Path:
        """The file with the keys of that user's contacts."""
        return self.path / "contacts" / f"{_stem(user)}.db"

    def history_file(self, user: User) -> Path:
        """The file with that user's conversations."""
        return self.path / "history" / f"{_stem(user)}.db"

    def has_others(self, user: User) -> bool:
        """Whether there is anything of another user. OSError."""
        own = self.device_file(user).stem
        kinds = ("devices", "*.key"), ("received", "*.db"), ("contacts", "*.db"), ("history", "*.db")
        return any(path.stem != own for name, kind in kinds for path in (self.path / name).glob(kind))

    def read_device(self, user: User) -> PrivateKey | None:
        """This device's key of that user; None: it has none. OSError, ValueError as `read_key`."""
        return read_key(self.device_file(user))

    def forget_device(self, user: User) -> None:
        """Remove this device's key of that user. OSError."""
        self.device_file(user).unlink(missing_ok=True)

    def make_device(self, user: User) -> tuple[PrivateKey, bool]:
        """The same, made where there is none, and whether it was made now. OSError, ValueError as `make_key`."""
        return make_key(self.device_file(user))


def _stem(user: User) -> str:
    """USER@SERVER as a file's name; two users never have the same, however a server is spelt."""
    whole = f"{_escaped(user.user_id)}@{_escaped(fold(user.server_id))}"
    if len(whole) <= MOST:
        return whole
    return f"{whole[:100]}~{hashlib.sha256(whole.encode()).hexdigest()[:32]}"


def _escaped(text: str) -> str:
    return "".join(c if _PLAIN.fullmatch(c) else _percent(c) for c in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
