"""The data directory of a node's processes: its secret, and which names have data in it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from parley.shared.directories import make_directory
from parley.shared.errors import ConfigError
from parley.shared.names import fold

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE: Final = "node.secret"
"""The file with the secret; by knowing it processes of one node know each other (proofs.py)."""
BYTES: Final = 32
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_TEXT: Final = re.compile(rb"[0-9a-f]{64}\n")


class DataDirectory:
    """DATA_DIR. Each name that a node has or had has a directory of its own in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._secret_file = self.path / FILE

    # The secret --------------------------------------------------------------------------------------

    def secret(self) -> bytes | None:
        """The node's secret; None: there is none yet. OSError where it cannot be read."""
        try:
            descriptor = os.open(self._secret_file, os.O_RDONLY | _SAFELY)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(128)
        return bytes.fromhex(text.decode().strip()) if _TEXT.fullmatch(text) else None

    def make_secret(self, wanted: bytes | None = None) -> bytes:
        """The node's secret, made where there is none: discovery does that. OSError where it cannot be.

        `wanted` is the one that it had before the directory was emptied. Whoever makes it first wins, and never is
        there a file of that name with less in it than a secret.
        """
        found = self.secret()
        if found is not None:
            return found
        make_directory(self.path)
        made = wanted or secrets.token_bytes(BYTES)
        new = self._secret_file.with_name(f".{FILE}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.hex().encode() + b"\n")
            self._publish(new)
        finally:
            new.unlink(missing_ok=True)
        return self.secret() or made

    def _publish(self, new: Path) -> None:
        """Give it its name, unless another process was first; a broken one, of a crash, is replaced."""
        if self._secret_file.exists() and self.secret() is None:
            new.replace(self._secret_file)
            return
        try:
            os.link(new, self._secret_file)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            if not self._secret_file.exists():
                new.replace(self._secret_file)

    # Names ---------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The names that have chat's data here, in order."""
        with contextlib.suppress(OSError):
            return sorted(path.parent.name for path in self.path.glob("*/chat.db"))
        return []

    def is_in_use(self, name: str) -> bool:
        """Whether a chat process of that name has its data now: it holds a lock on a file there."""
        if fcntl is None:
            return True
        try:
            descriptor = os.open(self.path / name / "chat.lock", os.O_RDONLY | _SAFELY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _directories(self) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted(path.name for path in self.path.iterdir() if path.is_dir())
        return []

    def check_name(self, server_id: str) -> None:
        """ConfigError where data is here of the same name in another spelling: servers' names have no case."""
        for name in self._directories():
            if name != server_id and fold(name) == fold(server_id):
                raise ConfigError(
                    f"{self.path} has data of {name!r}, and {server_id!r} is the same name to other servers: "
                    f"set PARLEY_SERVER_ID={name}, or rename that directory"
                )
