"""A node's federation on disk: DATA_DIR/<serverId>/trust/federation, shared by its processes and by commands.

| file | has |
|---|---|
| `state` | the newest list, signers and revoked keys; the highest number of each federation that the node was in |
| `invitations` | the hashes of secrets that are open or used, and a spoken code while it is good |
| `authority.key` | the authority's private key, where it is kept at this node |
| `lock` | is locked while one of the others is read, changed and replaced |

Each is replaced as a whole and synced, so a crash leaves the old one or the new one. All calls wait for the disk.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError

from parley.shared.directories import make_directory, sync_directory
from parley.shared.errors import StorageError
from parley.shared.runtime.moments import Moment, moment
from parley.shared.trust.ages import passed
from parley.shared.trust.federation.authority import Signer, federation_of
from parley.shared.trust.federation.entries import Member, Revocation
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.state import Federation
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.key_files import OWNER_ONLY, read_key
from parley.shared.wire.messages import pb

try:
    import fcntl
except ImportError:  # Windows: one command at a time
    fcntl = None  # type: ignore[assignment]

MOST: Final = 8 * 1024 * 1024
"""Bytes of a file that are read."""
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_S = TypeVar("_S", bound=msgspec.Struct)


class StoredState(msgspec.Struct):
    """The content of `state`."""

    federation: bytes = b""
    """Empty: the node is in none."""
    authority: bytes = b""
    floor: int = 1
    newest: bytes = b""
    signers: list[bytes] = []
    revocations: list[bytes] = []
    own: list[bytes] = []
    """The members that this node admitted."""
    came: Moment = Moment(0.0)
    """When the newest list came."""
    highest: dict[str, int] = {}
    """Federation (hex) → the highest number that was seen, of those that the node left, too."""


class Kept:
    """One reading of `state`, to be changed."""

    def __init__(self, stored: StoredState) -> None:
        self.stored = stored
        self.state: Federation | None = _state(stored) if stored.federation else None
        self.own = [Member.of(pb.FederationMember.FromString(one)) for one in stored.own]

    @property
    def ran(self) -> float:
        """Seconds that this machine has run since the newest list came, as far as they can be believed."""
        return passed(self.stored.came, moment())

    def floor(self, federation: bytes, number: int) -> int:
        """The lowest number to believe of a federation: a token's, or the highest that was seen here."""
        return max(number, self.stored.highest.get(federation.hex(), 0))

    def enter(self, state: Federation) -> None:
        """Be in that federation from now on."""
        self.state, self.own = state, []

    def leave(self) -> None:
        """Be in none; the number is remembered."""
        self.state, self.own = None, []

    def written(self) -> StoredState:
        """All of it, to be written."""
        highest = self.stored.highest
        if self.state is None:
            return StoredState(highest=highest)
        state = self.state
        before = SignedList.of(pb.FederationList.FromString(self.stored.newest)).number if self.stored.newest else 0
        is_new = state.federation != self.stored.federation or state.number != before
        return StoredState(
            federation=state.federation,
            authority=state.authority,
            floor=state.floor,
            newest=state.newest.message().SerializeToString() if state.newest else b"",
            signers=[one.message().SerializeToString() for one in state.signers.values()],
            revocations=[one.message().SerializeToString() for one in state.revocations.values()],
            own=[one.message().SerializeToString() for one in self.own],
            came=moment() if is_new else self.stored.came,
            highest={**highest, state.federation.hex(): state.number},
        )


class FederationFiles:
    """The directory of a node's federation."""

    def __init__(self, data_dir: Path, server_id: str) -> None:
        self.directory = data_dir / server_id / "trust" / "federation"

    def __repr__(self) -> str:
        return f"<FederationFiles of {self.directory}>"

    @property
    def mark(self) -> tuple[int, ...]:
        """A number that changes with `state`; empty: there is none."""
        try:
            found = (self.directory / "state").stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size

    # The state ---------------------------------------------------------------------------------------------

    def read(self) -> Kept:
        """The state as it is. StorageError where it cannot be read, or is damaged."""
        stored = self._load("state", StoredState)
        try:
            return Kept(stored)
        except (DecodeError, ValueError):
            raise self._damaged("state") from None

    @contextlib.contextmanager
    def changing(self) -> Iterator[Kept]:
        """The state, written afterwards where it changed, while no other process changes it. StorageError."""
        with self.locked():
            kept = self.read()
            before = msgspec.json.encode(kept.stored)
            yield kept
            after = msgspec.json.encode(kept.written())
            if after != before:
                self.save("state", after)

    # The authority -----------------------------------------------------------------------------------------

    def authority(self) -> PrivateKey | None:
        """The authority's key, where it is kept here. StorageError where it cannot be read."""
        try:
            return read_key(self.directory / "authority.key")
        except OSError as error:
            raise StorageError(f"cannot read {self.directory / 'authority.key'}: {error.strerror}") from None
        except ValueError:
            raise self._damaged("authority.key") from None

    def keep_authority(self, key: PrivateKey) -> None:
        """Keep the authority's key here. StorageError where another one is kept already."""
        there = self.authority()
        if there is not None and there.public != key.public:
            raise StorageError(f"{self.directory / 'authority.key'} is another federation's: move it away first")
        self.save("authority.key", key.private_bytes().hex().encode() + b"\n")

    def drop_authority(self) -> None:
        """Keep it no longer. StorageError."""
        try:
            (self.directory / "authority.key").unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove the authority's key: {error.strerror}") from None

    # Files -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one that changes something. StorageError."""
        try:
            make_directory(self.directory, 0o700)
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | _SAFELY, OWNER_ONLY)
        except OSError as error:
            raise StorageError(f"cannot write to {self.directory}: {error.strerror}") from None
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _load(self, name: str, kind: type[_S]) -> _S:
        """The content of a file; an empty one where there is none."""
        path = self.directory / name
        try:
            descriptor = os.open(path, os.O_RDONLY | _SAFELY)
        except FileNotFoundError:
            return kind()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            raw = file.read(MOST)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError:
            raise self._damaged(name) from None

    def load(self, name: str, kind: type[_S]) -> _S:
        """The content of a file of that kind. StorageError where it cannot be read, or is damaged."""
        return self._load(name, kind)

    def save(self, name: str, content: bytes) -> None:
        """Replace a file as a whole, readable by its owner alone, and sync it. StorageError."""
        path = self.directory / name
        new = path.with_name(f".{name}.{secrets.token_hex(8)}")
        try:
            make_directory(self.directory, 0o700)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, OWNER_ONLY)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)
            sync_directory(self.directory)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from None

    def _damaged(self, name: str) -> StorageError:
        return StorageError(
            f"{self.directory / name} is damaged: restore it from a backup, or remove it and join again"
        )


def _state(stored: StoredState) -> Federation:
    """The state that was written. ValueError, DecodeError: it is damaged."""
    state = Federation(stored.federation, stored.authority, stored.floor)
    if federation_of(stored.authority) != stored.federation:
        raise ValueError("its authority is another federation's")
    signers = [Signer.of(pb.FederationSigner.FromString(one)) for one in stored.signers]
    revocations = [Revocation.of(pb.FederationRevocation.FromString(one)) for one in stored.revocations]
    state.signers = {one.key: one for one in signers}
    state.revocations = {one.key: one for one in revocations}
    if stored.newest:
        state.restore(SignedList.of(pb.FederationList.FromString(stored.newest)))
    return state
