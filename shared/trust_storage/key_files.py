"""A secret in a file, a private key for instance: made once, whoever is first, and read by its owner alone.

Where the system has no modes (Windows), the directory's own rights are all there is.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from parley.shared.directories import make_directory, sync_directory
from parley.shared.trust.keys import PrivateKey

OWNER_ONLY: Final = 0o600
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_TEXT: Final = re.compile(rb"[0-9a-f]{64}\n")
_MOST: Final = 128
"""Bytes that are read of such a file."""


def read_key(path: Path) -> PrivateKey | None:
    """The key in that file; None: there is none yet.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no key. Nobody replaces it: who had it would have lost a name for ever.

    """
    text = read_file(path)
    if text is None:
        return None
    if not _TEXT.fullmatch(text):
        raise ValueError(f"{path} holds no key")
    return PrivateKey(bytes.fromhex(text.decode().strip()))


def make_key(path: Path) -> tuple[PrivateKey, bool]:
    """The key in that file, and whether it was made now. Of several processes at once, all get the same key.

    Raises:
        OSError: the file can be neither read nor made.
        ValueError: it holds no key.

    """
    if (found := read_key(path)) is not None:
        return found, False
    made = PrivateKey.generate()
    if make_file(path, made.private_bytes().hex().encode() + b"\n"):
        return made, True
    found = read_key(path)
    if found is None:
        raise FileNotFoundError(f"{path} went away")
    return found, False


def read_file(path: Path, most: int = _MOST) -> bytes | None:
    """The first bytes of a file, `most` of them; None: there is no such file. OSError where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _SAFELY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def make_file(path: Path, content: bytes) -> bool:
    """Make a file for its owner alone, whole or not at all; False: there is one. OSError: it cannot be made."""
    make_directory(path.parent, 0o700)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        is_made = _publish(new, path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)  # else a power cut takes its name, and somebody would make another
    return is_made


def _publish(new: Path, path: Path) -> bool:
    """Give the whole file its name; False: another process was first."""
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        new.replace(path)
    return True
