"""Looks into the mailbox's file, read-only: the process that has it notices nothing, and none needs to run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, Self

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import COPY, TO_GROUP, Destination
from parley.services.chat.operator.commands import LAST, Wanted
from parley.services.chat.storage import rows, schema
from parley.services.chat.storage.body_files import MAILBOX, BodyFiles
from parley.services.chat.storage.queries import FILE_OF
from parley.shared.addresses import Group, Recipient, User
from parley.shared.errors import ConfigError
from parley.shared.wire.messages import pb

_QUEUES: Final = (
    "SELECT destination, messages, bytes, kept_at FROM "
    "(SELECT destination AS name, COUNT(*) AS messages, SUM(size) AS bytes, MIN(id) AS first "
    "FROM message GROUP BY destination) JOIN message ON id = first"
)
"""One look at an index, and one row per destination."""
_ENTRIES: Final = (
    "SELECT id, destination, author, author_server, recipient, recipient_server, kind % 8, group_id, group_server, "
    "origin, snowflake, size, kept_at FROM message WHERE id > ? AND id <= ? AND {} ORDER BY id LIMIT ?"
)
_ITEMS: Final = rows.select("destination", rows.OUTLINE, "id IN ({})")
_FRAME: Final = f"""
SELECT raw, (SELECT data FROM body WHERE body.id = message.body AND message.kind = 3), {FILE_OF}
FROM message WHERE id = ?
"""  # noqa: S608 - a constant


class Queue(NamedTuple):
    """One destination's mail: messages, bytes, the oldest's age (seconds), and statuses owed to it."""

    destination: Destination
    messages: int = 0
    size: int = 0
    oldest: float | None = None
    owed: int = 0


class Entry(NamedTuple):
    """One message that waits; `size` in bytes, `age` in seconds."""

    id: int
    destination: Destination
    author: User
    recipient: Recipient
    group: Group | None
    origin: str
    snowflake: int
    size: int
    age: float


class Inspection:
    """One server's file, as it is at each look; a context manager."""

    def __init__(self, directory: Path) -> None:
        """Open `directory`/chat.db.

        Raises:
            ConfigError: it cannot be read, or is of another version.

        """
        path = directory / "chat.db"
        self._files = BodyFiles(directory / MAILBOX)
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise ConfigError(f"{path} cannot be read: {error}") from None
        if version != schema.VERSION:
            self.close()
            older = "start its chat process once, which brings it up to date"
            hint = older if version < schema.VERSION else "use that one"
            raise ConfigError(f"{path} is of another Parley (schema {version}): {hint}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def now(self) -> float:
        """The mailbox's own age (seconds)."""
        return schema.ages(self._db).now

    def queues(self) -> list[Queue]:
        """Per destination, those with most messages first."""
        now = self.now
        found = {name: (count, size, max(0.0, now - kept)) for name, count, size, kept in self._db.execute(_QUEUES)}
        owed = dict(self._db.execute("SELECT destination, COUNT(*) FROM owed GROUP BY destination").fetchall())
        all_of_them = [
            Queue(rows.destination(name), *found.get(name, (0, 0, None)), owed.get(name, 0))
            for name in found.keys() | owed.keys()
        ]
        return sorted(all_of_them, key=lambda each: (-each.messages, str(each.destination)))

    def total(self, wanted: Wanted) -> tuple[int, int, int]:
        """How many messages are wanted, their bytes, and the last one's number."""
        condition, values = wanted.condition(self.now)
        query = f"SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(MAX(id), 0) FROM message WHERE {condition}"  # noqa: S608 - only placeholders
        count, size, last = self._db.execute(query, values).fetchone()
        return count, size, last

    def entries(self, wanted: Wanted, limit: int, after: int = 0, last: int = LAST) -> list[Entry]:
        """Those with numbers greater than `after`, up to `last`, in order."""
        now = self.now
        condition, values = wanted.condition(now)
        query = _ENTRIES.format(condition)
        return [_entry(row, now) for row in self._db.execute(query, [after, last, *values, limit])]

    def message(self, number: int) -> pb.ChatMessage | None:
        """The message itself: what is in it is not for the operator's eyes, unless they must."""
        row = self._db.execute(_FRAME, (number,)).fetchone()
        if row is None:
            return None
        raw, shared, file = row
        if file is not None:
            content = self._files.read(file)
            if content is None:
                return None
            raw, shared = (content, None) if shared is None else (raw, content)
        payload = bytes(raw).split(b" ", 2)[2]
        return pb.ChatMessage.FromString(payload[:-1] if shared is None else payload + bytes(shared))

    def envelopes(self, numbers: Sequence[int]) -> list[tuple[Destination, Envelope]]:
        """Read messages as the router knows them, but for their bytes."""
        found = []
        for name, *row in self._db.execute(_ITEMS.format(",".join("?" * len(numbers))), numbers):
            found.append((rows.destination(name), rows.envelope(tuple(row))))
        return found


def read_envelopes(directory: Path, numbers: Sequence[int]) -> list[tuple[Destination, Envelope]]:
    """Read messages by a connection for this once: on any thread."""
    with closing(Inspection(directory)) as inspection:
        return inspection.envelopes(numbers)


def _entry(row: tuple[object, ...], now: float) -> Entry:
    number, name, author, author_server, to, to_server, kind, group, group_server, origin, snowflake, size, kept = (
        row
    )
    recipient = Group(str(to), str(to_server)) if kind == TO_GROUP else User(str(to), str(to_server))
    return Entry(
        int(str(number)),
        rows.destination(str(name)),
        User(str(author), str(author_server)),
        recipient,
        Group(str(group), str(group_server)) if kind in (COPY, rows.SHARED) else None,
        str(origin),
        rows.unsigned(int(str(snowflake))),
        int(str(size)),
        max(0.0, now - float(str(kept))),
    )


def servers(data_dir: Path) -> list[str]:
    """The names of the servers that have a mailbox there."""
    return sorted(path.parent.name for path in data_dir.glob("*/chat.db"))
