"""What the mailbox's rows look like: messages, destinations and numbers, as SQLite has them. Pure."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from services.chat.fingerprints import fingerprint, rest
from services.chat.mailbox import COPY, TO_GROUP, Destination, Item, Key, Name, kind_of, name_of
from shared.addresses import Group, User

Row = tuple[int, int, int, str, str, int, str, str, str, int, str, str, bytes]

INSERT: Final = "INSERT OR REPLACE INTO message VALUES "
SETTLE: Final = "INSERT INTO settled VALUES "
HAND_OVER: Final = "INSERT OR REPLACE INTO handed_over VALUES "
DELETE: Final = "DELETE FROM message WHERE id IN "
"""What comes often is written many rows at a time: each statement lets go of the interpreter's lock once."""
SIZES: Final = (512, 64, 8, 1)
"""Rows at a time."""


def values(destination: Destination, item: Item, age: float) -> tuple[object, ...]:
    """An item as INSERT takes it."""
    group = item.group or ("", "")
    return (
        item.id, name(destination), *halves(item.key), *item.author, signed(item.snowflake), *item.recipient,
        item.origin, kind_of(item.recipient, item.group), *group, item.size, age, item.raw,
    )  # fmt: skip


def settled(key: Key, status: int, age: float) -> tuple[object, ...]:
    """A final status as SETTLE takes it."""
    return (*halves(key), status, age)


def handed_over(item: Item, status: int, age: float) -> tuple[object, ...]:
    """What another server has, as HAND_OVER takes it."""
    return (*name_values(name_of(item)), *halves(item.key), status, age)


def name_values(name: Name) -> tuple[object, ...]:
    """What a status says of a message, as queries.py takes it."""
    return (signed(name.snowflake), *name.author, *name.recipient, name.kind)


def halves(key: Key) -> tuple[int, int]:
    """A key as two of SQLite's integers; 0 and 0 of a message that is recognised by nothing."""
    return (fingerprint(key), rest(key)) if key else (0, 0)


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


def item(row: Row) -> Item:
    """An item as queries.py reads it."""
    number, first, second, author, author_server, snowflake, to, to_server, origin, kind, *group_of, raw = row
    recipient = Group(to, to_server) if kind == TO_GROUP else User(to, to_server)
    group = Group(*group_of) if kind == COPY else None
    writer = User(author, author_server)
    read = Item(writer, unsigned(snowflake), recipient, raw, key=key(first, second), origin=origin, group=group)
    read.id = number
    read.is_saved = read.is_safe = read.waited = True
    return read


@lru_cache(maxsize=1 << 14)
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


def signed(snowflake: int) -> int:
    """SQLite's integers are signed."""
    return snowflake - (1 << 64) if snowflake >> 63 else snowflake


def unsigned(snowflake: int) -> int:
    """A snowflake as the protocol has it."""
    return snowflake & ((1 << 64) - 1)
