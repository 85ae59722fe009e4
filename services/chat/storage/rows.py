"""The rows of the mailbox: messages, destinations and numbers, as SQLite has them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from struct import Struct
from typing import Final, Protocol

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import COPY, TO_GROUP, Destination, Key, Name, kind_of, name_of
from parley.services.chat.storage.bodies import LARGE, Body, Copy
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb

SHARED: Final = 3
"""The kind of a row that is a copy (COPY), and has only the beginning of its frame itself; it shares the rest."""
IN_FILE: Final = 8
"""Added to the kind of a row that has, in place of its frame, the digest of a file (body_files.py)."""

Write = tuple[str, tuple[object, ...]]
"""A statement, or one of the heads of one, and a row's values."""
Row = tuple[int, int, int, str, str, int, str, str, str, int, str, str, int, int | None, bytes]
_COLUMNS: Final = (
    "id, key, key_rest, author, author_server, snowflake, recipient, recipient_server, origin, kind, group_id, "
    "group_server, size, CASE kind WHEN 3 THEN body END"
)  # what stands behind a long frame is looked at only where there is none
WHOLE: Final = f"{_COLUMNS}, raw"
"""A Row's columns."""
OUTLINE: Final = f"{_COLUMNS}, CASE kind WHEN 3 THEN raw ELSE x'' END"
"""The same without what may be long."""


def select(first: str, columns: str, condition: str) -> str:
    """A query for rows, each behind these first columns; all of it is ours."""
    return f"SELECT {first}, {columns} FROM message WHERE {condition}"  # noqa: S608 - only placeholders


INSERT: Final = "INSERT OR REPLACE INTO message VALUES "
SETTLE: Final = "INSERT INTO settled VALUES "
HAND_OVER: Final = "INSERT OR REPLACE INTO handed_over VALUES "
SHARE: Final = "INSERT OR IGNORE INTO body VALUES (?,?,?)"
"""With the size of a body that is a file; then the digest stands in its place."""
REWRITE: Final = "UPDATE message SET raw = ?, kind = kind % 8 + ?, size = ?, body = ? WHERE id = ?"
END_BODY: Final = (
    "DELETE FROM body WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM message WHERE kind = 3 AND body = ?1)"
)
"""A body that no copy shares any more."""
DELETE: Final = "DELETE FROM message WHERE id IN "
"""Frequent writes are of many rows at a time: each statement lets go of the interpreter's lock once."""
_HALVES: Final = Struct("<qq")
_NO_GROUP: Final = ("", "")
_KIND_AT: Final = 10
_LARGE_AT: Final = {INSERT: 15, SHARE: 1, REWRITE: 0}
"""Where, among a statement's values, that stands which may be large."""
SIZES: Final = (512, 64, 8, 1)
"""Rows at a time."""
LOADED: Final = 4 * 1024 * 1024
"""Bytes of waiting messages that are read at once, and the one that goes beyond."""


def rewritten(envelope: Envelope) -> tuple[object, ...]:
    """An envelope as REWRITE takes it."""
    raw, body = _content(envelope)
    return raw, 0, envelope.size, body, envelope.id


def shared(body: Body) -> tuple[object, ...]:
    """A body as SHARE takes it."""
    return body.number, body.data, None


def in_file(write: Write, put: Callable[[bytes], bytes]) -> Write:
    """The same write with the digest of what is large in it, which `put` makes a file of."""
    statement, values = write
    at = _LARGE_AT.get(statement)
    if at is None:
        return write
    content = values[at]
    if not isinstance(content, bytes) or len(content) < LARGE:
        return write
    changed = list(values)
    changed[at] = put(content)
    if statement is INSERT:
        changed[_KIND_AT] = int(str(values[_KIND_AT])) + IN_FILE
    else:
        changed[at + 1] = IN_FILE if statement is REWRITE else len(content)
    return statement, tuple(changed)


def _content(envelope: Envelope) -> tuple[bytes, int | None]:
    """The bytes of its own, and the number of the body that it shares."""
    if envelope.body is None:
        return envelope.raw, None
    return (envelope.head if isinstance(envelope, Copy) else envelope.raw), envelope.body.number


def values(destination: Destination, envelope: Envelope, age: float) -> tuple[object, ...]:
    """An envelope as INSERT takes it."""
    group, recipient, snowflake = envelope.group, envelope.recipient, envelope.snowflake
    raw, body = _content(envelope)
    kind = SHARED if body is not None else kind_of(recipient, group)
    return (
        envelope.id, name(destination), *halves(envelope.key), *envelope.author, signed(snowflake),
        *recipient, envelope.origin, kind, *(group or _NO_GROUP), envelope.size, age, raw, body,
    )  # fmt: skip


def settled(key: Key, status: int, age: float) -> tuple[object, ...]:
    """A final status as SETTLE takes it."""
    return (*halves(key), status, age)


def handed_over(envelope: Envelope, status: int, age: float) -> tuple[object, ...]:
    """A message that another server has, as HAND_OVER takes it."""
    return (*name_values(name_of(envelope)), *halves(envelope.key), status, age)


def name_values(name: Name) -> tuple[object, ...]:
    """A message's name in a status, as queries.py takes it."""
    return (signed(name.snowflake), *name.author, *name.recipient, name.kind)


def halves(key: Key) -> tuple[int, int]:
    """A key as two of SQLite's integers; 0 and 0 of a message that is recognised by nothing."""
    return _HALVES.unpack(key) if key else (0, 0)


def key(first: int, second: int) -> Key:
    """A key from its halves."""
    if first == second == 0:
        return b""
    return first.to_bytes(8, "little", signed=True) + second.to_bytes(8, "little", signed=True)


@cache
def statement(head: str, columns: int, count: int) -> str:
    """INSERT, SETTLE or DELETE for so many rows of so many columns."""
    if head is DELETE:
        return f"{head}({','.join('?' * count)})"
    return head + ",".join([f"({','.join('?' * columns)})"] * count)


class Contents(Protocol):
    """Reads what a row refers to."""

    def body(self, number: int) -> Body:
        """A body that copies share; without data: it is gone."""

    def file(self, digest: bytes) -> bytes:
        """The bytes of a file; none: it is gone."""


def envelope(row: Row, contents: Contents | None = None) -> Envelope:
    """An envelope as queries.py reads it; without `contents` it is an outline.

    One without bytes, or with a body that has none, is gone.
    """
    number, first, second, author, author_server, snowflake, to, to_server, origin, kind = row[:10]
    group_id, group_server, size, shared, raw = row[10:]
    digest = b""
    if kind >= IN_FILE:
        kind, digest, raw = kind - IN_FILE, raw, contents.file(raw) if contents is not None else b""
    writer, mark = User(author, author_server), key(first, second)
    read: Envelope
    if kind == SHARED and shared is not None:
        group = Group(group_id, group_server)
        outline = Body(b"", number=shared, size=size - len(raw) - 1)
        found = contents.body(shared) if contents is not None else outline
        member = User(to, to_server)
        read = Copy(writer, unsigned(snowflake), member, key=mark, origin=origin, group=group, head=raw, body=found)
    else:
        recipient = Group(to, to_server) if kind == TO_GROUP else User(to, to_server)
        copied_for = Group(group_id, group_server) if kind == COPY else None
        read = Envelope(writer, unsigned(snowflake), recipient, raw, key=mark, origin=origin, group=copied_for)
        if digest and raw:
            read.in_file(raw, digest)
    read.found(number, size)
    return read


@lru_cache(maxsize=1 << 12)
def name(destination: Destination) -> str:
    """A destination as a text."""
    if isinstance(destination, User):  # spelt as it is, not as people are shown it
        return f"user:{destination.user_id}@{destination.server_id}"
    return f"server:{destination}"


def destination(text: str) -> Destination:
    """A destination from its text."""
    kind, _, rest = text.partition(":")
    if kind != "user":
        return rest
    user_id, _, server_id = rest.rpartition("@")  # whatever a client may have called itself
    return User(user_id, server_id)


def edit_mark(target: int) -> bytes:
    """The bytes that are in each edit of the message with this number, and hardly in anything else."""
    return pb.Edit(target=target).SerializeToString()


def signed(snowflake: int) -> int:
    """SQLite's integers are signed."""
    return snowflake - (1 << 64) if snowflake >> 63 else snowflake


def unsigned(snowflake: int) -> int:
    """A snowflake as the protocol has it."""
    return snowflake & ((1 << 64) - 1)
