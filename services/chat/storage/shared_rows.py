"""A shared copy on disk: one row for all its members, until it is answered or becomes copies. Pure.

It is there for a crash: whoever opens the file next makes a row for each member of it (`expand`), before anything
else is read. So nothing else knows of these rows: they stand under a destination of their own.

A shared copy has as many numbers as members, for rows of theirs, and the next one for its own row. A member's copy
that had a row of its own when the process died keeps it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage import mail_keys, rows
from parley.services.chat.storage.bodies import Body, Copy, head_of
from parley.shared.addresses import Group, User
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import pb

_PREFIX: Final = "shared:"
_FOUND: Final = (
    "SELECT id, author, author_server, snowflake, recipient_server, origin, group_id, group_server, kept_at, raw, "
    "body, (SELECT data FROM body WHERE body.id = message.body) FROM message WHERE destination GLOB 'shared:*'"
)
_TAKEN: Final = "SELECT id, key, key_rest FROM message WHERE id BETWEEN ? AND ?"


def values(shared: SharedCopy, age: float) -> tuple[object, ...]:
    """A shared copy as rows.INSERT takes it, for the members who have no status."""
    names = pb.MembersOfGroup(userIds=[user_id for user_id, _server_id in shared.missing]).SerializeToString()
    return (
        shared.row_id, _PREFIX + shared.server_id, 0, 0, *shared.author, rows.signed(shared.snowflake),
        "", shared.server_id, shared.origin, rows.SHARED, *shared.group, shared.size, age, names,
        shared.body.number,
    )  # fmt: skip


def expand(db: sqlite3.Connection, keys: MessageKeys) -> None:
    """Have each member's copy wait by itself that was in flight in a shared copy, all or none."""
    found = db.execute(_FOUND).fetchall()
    if not found:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for number, *parts in found:
            made = []
            for row in _copies(db, keys, number, parts):
                db.execute(rows.statement(rows.INSERT, len(row), 1), row)
                made.append(int(str(row[0])))
            mail_keys.index_late(db, made)
            db.execute(rows.statement(rows.DELETE, 1, 1), (number,))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _copies(
    db: sqlite3.Connection, keys: MessageKeys, number: int, parts: list[object]
) -> list[tuple[object, ...]]:
    """The rows of the members' copies, in the numbers that are free."""
    author, author_server, _snowflake, server_id, origin, group_id, group_server, age, names, body_number, data = (
        parts
    )
    named = pb.MembersOfGroup.FromString(bytes(names)).userIds  # type: ignore[call-overload]
    members, group = [User(user_id, str(server_id)) for user_id in named], Group(str(group_id), str(group_server))
    body = Body(bytes(data), number=int(body_number))  # type: ignore[call-overload]
    message = pb.ChatMessage.FromString(body.data)
    writer = User(str(author), str(author_server))
    taken = db.execute(_TAKEN, (number - len(members), number - 1)).fetchall()
    has_row = {rows.key(first, second) for _id, first, second in taken}
    free = iter(sorted({*range(number - len(members), number)} - {each for each, *_key in taken}))
    made = []
    for member, key in zip(members, keys.of_each(writer, members, group, message), strict=True):
        if key not in has_row:
            copy: Envelope = Copy(
                writer, message.messageSnowflake, member, key=key, origin=str(origin), group=group,
                head=head_of(member, group, body), body=body,
            )  # fmt: skip
            copy.id = next(free)
            made.append(rows.values(str(server_id), copy, float(age)))  # type: ignore[arg-type]
    return made
