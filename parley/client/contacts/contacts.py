"""The contacts of one user, and the keys that spoke for them: judged in memory, kept on disk by a thread.

It is read when the first link opens, before any message is judged. Without a directory, or where the disk cannot be
used, it lasts as long as the process.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley.client.contacts.contacts_file import MOST, ContactsFile
from parley.client.contacts.continuity import Contact, KeyChange, listed, met, wrote
from parley.client.trust.late_writing import LateWriting
from parley.shared.addresses import User
from parley.shared.names import fold
from parley.shared.telemetry.logs import Log
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

NAME: Final = 16
"""Bytes of a name's hash."""


def hash_of(user: User) -> bytes:
    """The hash by which a contact is known."""
    fields = signed_bytes("contact", user.user_id, fold(user.server_id))
    return hashlib.blake2b(fields, digest_size=NAME).digest()


class Contacts:
    """One user's, from `begin` to `end`. `changed(user, change)` hears once that one is another device."""

    def __init__(self, log: Log, changed: Callable[[User, KeyChange], object], most: int = MOST) -> None:
        self._changed = changed
        self._most = most
        self._contacts: OrderedDict[bytes, Contact] = OrderedDict()
        self._seen: set[bytes] = set()
        """Those that were heard from since the beginning: they are the last to be forgotten."""
        self._writing: LateWriting[bytes, Contact] = LateWriting("contacts", log)
        self._has_begun = False

    def __len__(self) -> int:
        return len(self._contacts)

    def begin(self, path: Path | None) -> None:
        """Read who was known before, once; None: nothing is kept."""
        if self._has_begun or path is None:
            return
        self._has_begun = True
        try:
            file = ContactsFile(path)
            self._writing.begin(file)
            self._contacts.update(file.read())
        except (OSError, sqlite3.Error) as error:
            self._writing.failed(error)

    def number(self, user: User) -> int:
        """The number of the newest list of a contact, before a restart, too; 0: none is known."""
        contact = self._contacts.get(hash_of(user))
        return 0 if contact is None else max(contact.number, contact.freed)

    def listed(self, user: User, devices: pb.DeviceList, *, is_asked: bool) -> None:
        """A list came that its user's server signed; `is_asked`: somebody was written to, or wrote."""
        name = hash_of(user)
        contact = self._contacts.get(name)
        if contact is not None:
            self._take(user, name, contact, *listed(contact, devices))
        elif is_asked and devices.devices:
            self._keep(name, met(b"", devices))

    def wrote(self, user: User, key: bytes, devices: pb.DeviceList | None) -> None:
        """A message came that this key signed; `devices`: the newest list of its author that is known."""
        name = hash_of(user)
        contact = self._contacts.get(name)
        if contact is None:
            self._keep(name, met(key, devices))
        else:
            self._take(user, name, contact, *wrote(contact, key, devices))
        if name not in self._seen:
            self._seen.add(name)
            self._keep(name, self._contacts[name])

    def _take(self, user: User, name: bytes, before: Contact, after: Contact, change: KeyChange | None) -> None:
        if after != before:
            self._keep(name, after)
        if change is not None:
            self._changed(user, change)

    def _keep(self, name: bytes, contact: Contact) -> None:
        self._contacts[name] = contact
        self._contacts.move_to_end(name)
        if len(self._contacts) > self._most:
            gone, _ = self._contacts.popitem(last=False)
            self._seen.discard(gone)
        if self._writing.is_on:
            self._writing.unwritten[name] = contact
            self._writing.changed()

    async def end(self) -> None:
        """Write what is left, and let go of the file."""
        if self._writing.is_on:
            self._has_begun = False
        await self._writing.end()
