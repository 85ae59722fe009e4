"""Files to send, and received documents as files: in one folder, over no other file, under a harmless name."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from parley.cli.people.downloads import downloads
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.errors import ConfigError, ParleyError
from parley.shared.wire.messages import pb

LONGEST_NAME: Final = 200
"""Bytes; file systems take 255, and a number may be added."""
LONGEST_SUFFIX: Final = 20
TRIES: Final = 10_000
REMEMBERED: Final = 1000
"""Documents that are not saved a second time where they come again."""
_FORBIDDEN: Final = frozenset('<>:"|?*')


class SaveFailed(ParleyError):
    """A document could not be written; a message that comes is not acknowledged then, and waits at the server."""

    reason = "not_saved"


def read_file(path: Path, config: Config) -> bytes:
    """The bytes to send; one plain sentence where they cannot be read or are too many for one message.

    Raises:
        ConfigError: no such file, no right to read it, no regular file.
        ParleyError: too large; nothing was read.

    """
    limit = config.link.payload_limit
    try:
        if not path.exists():
            raise ConfigError(f"there is no file {path}; check its name")
        if path.is_dir():
            raise ConfigError(f"{path} is a directory; pack it into one file, as `tar czf` does, and send that")
        if not path.is_file():
            raise ConfigError(f"{path} is a pipe or a device, which has no end; save what it gives to a file first")
        size = path.stat().st_size
        if size > limit:
            raise ParleyError(too_large(str(path), size, limit))
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {_reason(error)}") from None


def too_large(what: str, size: int, limit: int) -> str:
    """The sentence for what does not fit into one message; sizes in bytes."""
    return (
        f"{what} is too large: {_mib(size)} ({size} bytes), and at most {_mib(limit)} ({limit} bytes) go into one "
        "message; pack it tighter, or cut it up, as `split -b 2M FILE` does, and send the parts"
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.4g} MiB"


class Folder:
    """Where received documents are saved."""

    def __init__(self, path: Path | None) -> None:
        """`path` is made when the first document comes; None: there is no place for any."""
        self.path = path
        self._saved: OrderedDict[tuple[User, int], str] = OrderedDict()

    @classmethod
    def chosen(cls, path: str, environ: Mapping[str, str] = os.environ) -> Folder:
        """The folder of that name; empty: the user's download directory, which is made when it is needed.

        Raises:
            ConfigError: it cannot be made, or not be written to.

        """
        return cls.named(path) if path else cls(downloads(environ))

    @classmethod
    def named(cls, path: str) -> Folder:
        """A folder that the user named: made now, where there is none.

        Raises:
            ConfigError: it cannot be made, or not be written to.

        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--save {path}: no such folder can be made ({_reason(error)})") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"--save {path}: nothing can be written there; name a folder of your own")
        return cls(folder)

    def save_of(self, message: pb.ChatMessage) -> str:
        """Save a message's document, once, however often the message comes; its path.

        Raises:
            SaveFailed: it cannot be written.

        """
        key = User.of(message.author), message.messageSnowflake
        path = self._saved.get(key, "")
        if not path or not Path(path).exists():
            try:
                path = self._saved[key] = self.save(message.document)
            except SaveFailed as error:
                raise SaveFailed(f"{error}; it waits at your server, and comes again") from None
            if len(self._saved) > REMEMBERED:
                self._saved.popitem(last=False)
        return path

    def save(self, document: pb.Document) -> str:
        """Write a document and have it on disk; its path.

        Raises:
            SaveFailed: it cannot be written.

        """
        name = safe_name(document.filename)
        if self.path is None:
            raise SaveFailed(f"{name} cannot be saved: you have no home directory; name a folder with --save DIR")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            path, descriptor = self._create(self.path, name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(document.data)
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            _sync(self.path)
        except OSError as error:
            raise SaveFailed(f"{name} cannot be saved in {self.path} ({_reason(error)})") from None
        return str(path)

    @staticmethod
    def _create(folder: Path, name: str) -> tuple[Path, int]:
        """A file that was not there before; no link is followed."""
        stem, suffix = _split(name)
        for number in range(TRIES):
            path = folder / (f"{stem} ({number}){suffix}" if number else name)
            try:
                return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            except FileExistsError:
                continue
        raise FileExistsError(17, f"{TRIES} files have this name")


def _sync(folder: Path) -> None:
    """Have the names in it on disk, too; some file systems cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def safe_name(filename: str) -> str:
    """Another's filename as one that names a plain, visible file in a folder."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(c if c.isprintable() and c not in _FORBIDDEN else "_" for c in last).strip(" .")
    if name.startswith("-"):  # a command would take it for an option
        name = "_" + name[1:]
    stem, suffix = _split(name)
    room = LONGEST_NAME - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore") + suffix or "document"


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and len(suffix) <= LONGEST_SUFFIX else (name, "")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
