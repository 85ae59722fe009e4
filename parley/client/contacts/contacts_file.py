"""The keys of a user's contacts on disk, so that another key is noticed after a restart, too.

One small SQLite file for each user, shared by all programs of that user on this machine. It holds keys, and hashes
in place of names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from parley.client.contacts.continuity import Contact
from parley.shared.trust.keys import KEY
from parley.shared.trust_storage.aged_file import AgedFile

VERSION: Final = 1
MOST: Final = 10_000
"""Contacts that are known, 25 MB at most: the one that was silent the longest is forgotten."""
_SCHEMA: Final = """
CREATE TABLE contacts (
    name BLOB PRIMARY KEY, keys BLOB NOT NULL, number INTEGER NOT NULL, freed INTEGER NOT NULL,
    used INTEGER NOT NULL
);
CREATE INDEX contacts_used ON contacts (used);
"""
_ALL: Final = "SELECT name, keys, number, freed FROM contacts ORDER BY used DESC LIMIT ?"
_SET: Final = """
INSERT INTO contacts SELECT ?, ?, ?, ?, 1 + coalesce(max(used), 0) FROM contacts WHERE true
ON CONFLICT (name) DO UPDATE SET keys = excluded.keys, number = excluded.number, freed = excluded.freed,
used = excluded.used WHERE excluded.number >= contacts.number
"""
_TRIM: Final = """
DELETE FROM contacts WHERE name IN (SELECT name FROM contacts ORDER BY used DESC LIMIT -1 OFFSET ?)
"""
HIGHEST: Final = 2**63 - 1
"""The highest number that a column holds."""


class ContactsFile(AgedFile):
    """One user's file, made where there is none. OSError, sqlite3.Error. Each call waits for the disk."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        super().__init__(path, _SCHEMA, VERSION)
        self._most = most

    def read(self) -> Iterator[tuple[bytes, Contact]]:
        """Each contact by the hash of its name, the one that was silent the longest first."""
        rows = self._db.execute(_ALL, (self._most,))
        for name, keys, number, freed in reversed(rows.fetchall()):
            if len(keys) % KEY:
                raise sqlite3.DatabaseError(f"{self.path} holds what are no keys")
            each = tuple(keys[at : at + KEY] for at in range(0, len(keys), KEY))
            yield name, Contact(each, number, freed)

    def add(self, contacts: Mapping[bytes, Contact]) -> None:
        """Write these, in one transaction; of one that another program knows by a newer list, that stays."""
        with self._writing():
            for name, contact in contacts.items():
                numbers = min(contact.number, HIGHEST), min(contact.freed, HIGHEST)
                self._db.execute(_SET, (name, b"".join(contact.keys), *numbers))
            self._db.execute(_TRIM, (self._most,))
