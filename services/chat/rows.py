"""What the mailbox's rows look like: messages, destinations and numbers, as SQLite has them. Pure."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from services.chat.fingerprints import fingerprint
from services.chat.mailbox import Destination, Item, Key
from shared.addresses import Group, User

TO_USER: Final = 0
COPY: Final = 1
TO_GROUP: Final = 2
"""A row's `kind`: for a user; a copy for a member of a group; for a group of another server."""

Row = tuple[int, str, str, int, str, str, str, int, str, str, bytes]

INSERT: Final = "INSERT OR REPLACE INTO message VALUES "
SETTLE: Final = "INSERT INTO settled VALUES "
DELETE: Final = "DELETE FROM message WHERE id IN "
"""What comes often is written many rows at a time: each statement lets go of the interpreter's lock once."""
SIZES: Final = (512, 64, 8, 1)
"""Rows at a time."""


def values(destination: Destination, item: Item, mark: int, age: float) -> tuple[object, ...]:
    """An item as INSERT takes it; `mark` is its fingerprint."""
    author, recipient = item.author, item.recipient
    group = item.group or ("", "")
    kind = TO_GROUP if isinstance(recipient, Group) else COPY if item.group is not None else TO_USER
    return (
        item.id, name(destination), mark, *author, signed(item.snowflake), *recipient,
        item.origin, kind, *group, item.size, age, item.raw,
    )  # fmt: skip


def settled(item: Item, status: int, mark: int, age: float) -> tuple[object, ...]:
    """A final status as SETTLE takes it."""
    return (mark, *item.author, signed(item.snowflake), *item.recipient, status, age)


@cache
def statement(head: str, columns: int, count: int) -> str:
    """INSERT, SETTLE or DELETE for so many rows of so many columns."""
    if head is DELETE:
        return f"{head}({','.join('?' * count)})"
    return head + ",".join([f"({','.join('?' * columns)})"] * count)


def item(row: Row) -> Item:
    """An item as queries.py reads it."""
    number, author, author_server, snowflake, to, to_server, origin, kind, group_id, group_server, raw = row
    recipient = Group(to, to_server) if kind == TO_GROUP else User(to, to_server)
    group = Group(group_id, group_server) if kind == COPY else None
    read = Item(User(author, author_server), unsigned(snowflake), recipient, raw, origin=origin, group=group)
    read.id = number
    read.is_saved = read.is_safe = read.waited = True
    return read


def key_values(key: Key) -> tuple[object, ...]:
    """A key as queries.py takes it."""
    author, snowflake, recipient = key
    return (fingerprint(key), signed(snowflake), *author, *recipient)


@lru_cache(maxsize=1 << 14)
def name(destination: Destination) -> str:
    """A destination as a text."""
    return f"user:{destination}" if isinstance(destination, User) else f"server:{destination}"


def destination(text: str) -> Destination:
    """A destination from its text."""
    kind, _, rest = text.partition(":")
    if kind != "user":
        return rest
    user_id, _, server_id = rest.rpartition("@")  # whatever a client may have called itself
    return User(user_id, server_id)


def signed(snowflake: int) -> int:
    """SQLite's integers are signed."""
    return snowflake - (1 << 64) if snowflake >> 63 else snowflake


def unsigned(snowflake: int) -> int:
    """A snowflake as the protocol has it."""
    return snowflake & ((1 << 64) - 1)
