"""The end of what is kept: days that are over, the oldest where the file is too large, and what is erased."""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import blanked, entries, entry_at, gone_digest
from parley.services.chat.archive.filed import filed_in
from parley.services.chat.archive.files import end_at, end_before, message_in
from parley.services.chat.archive.lists import (
    Conversation,
    conversation,
    conversations_of,
    group_of,
)
from parley.services.chat.archive.projection import line_key, write_terms
from parley.services.chat.archive.storage import place, record_of
from parley.services.chat.archive.texts import is_spaceless, text_of, tokens
from parley.shared.addresses import Group, Recipient, User

STEP: Final = 1000
"""Conversations, or records, that one transaction changes."""


def remove_before(db: sqlite3.Connection, day: float) -> int:
    """Remove all days before that one, with their lines and words; how many there were."""
    days = [row[0] for row in db.execute("SELECT day FROM day WHERE day < ? ORDER BY day", (day,))]
    for each in days:
        _remove_day(db, each)
    if days:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(days)


def shrink(db: sqlite3.Connection, size: int) -> int:
    """Remove the oldest days until the file has at most `size` bytes in use, but never the latest day."""
    removed = 0
    while storage.used_bytes(db) > size:
        days = db.execute("SELECT day FROM day ORDER BY day LIMIT 2").fetchall()
        if len(days) < 2:  # noqa: PLR2004 - the last one stays
            break
        removed += remove_before(db, days[1][0])
    return removed


def _remove_day(db: sqlite3.Connection, day: int) -> None:
    first, last = db.execute("SELECT first, last FROM day WHERE day = ?", (day,)).fetchone()
    end = place(last + 1, 0)
    at = -1
    while numbers := [r[0] for r in db.execute("SELECT id FROM conversation WHERE id > ? LIMIT ?", (at, STEP))]:
        at = numbers[-1]
        with storage.transaction(db, is_safe=False):
            for number in numbers:
                _remove_lines(db, number, end)
    with storage.transaction(db, is_safe=False):
        for kind in ("terms", "grams"):
            db.execute(f"DROP TABLE IF EXISTS {kind}_{day}")
        db.execute("DELETE FROM pending WHERE day <= ?", (day,))
        db.execute("DELETE FROM erasure WHERE place < ?", (end,))
    for number in range(first, last + 1, STEP):
        with storage.transaction(db, is_safe=False):
            db.execute("DELETE FROM record WHERE id BETWEEN ? AND ?", (number, min(last, number + STEP - 1)))
    with storage.transaction(db, is_safe=True):
        db.execute("DELETE FROM day WHERE day = ?", (day,))
    end_before(db, end)


def _remove_lines(db: sqlite3.Connection, number: int, end: int) -> None:
    """Remove a conversation's lines of messages before a place: they come first."""
    kept = db.execute(
        "SELECT sequence FROM line WHERE conversation = ? AND place >= ? ORDER BY sequence LIMIT 1", (number, end)
    ).fetchone()
    until = kept[0] if kept else (1 << 62)
    for table in ("line", "changed", "edit", "numbered"):
        db.execute(f"DELETE FROM {table} WHERE conversation = ? AND sequence < ?", (number, until))  # noqa: S608 - ours


def erase(db: sqlite3.Connection, person: str, server_id: str) -> int:
    """Erase all that the archive has for one person of this server: their lists, and messages nobody else here has.

    What others here have of them is theirs, and stays. How many messages were blanked.
    """
    count = _cleared(db, person, server_id, "", ())
    blank_due(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def clear(db: sqlite3.Connection, person: str, server_id: str, other: Recipient | None) -> None:
    """Do so for the person, with one conversation or all: the lists go now, the bytes with what was deleted."""
    where, values = "", ()
    if other is not None:
        where, values = " AND is_group = ? AND name = ? AND server_id = ?", (isinstance(other, Group), *other)
    _cleared(db, person, server_id, where, values)


def _cleared(
    db: sqlite3.Connection, person: str, server_id: str, where: str, values: tuple[bool | str, ...]
) -> int:
    """Remove lists of a person's, and have messages blanked that nobody else here has; how many there are.

    A crash leaves no list without its messages' note in `erasure`; the last transaction makes all of them safe.
    """
    sql = f"SELECT id, is_group, name, server_id FROM conversation WHERE person = ?{where}"  # noqa: S608 - ours
    rows = db.execute(sql, (person, *values)).fetchall()
    count = 0
    for number, is_group, name, other_server in rows:
        other = Group(name, other_server) if is_group else User(name, other_server)
        with storage.transaction(db, is_safe=number == rows[-1][0]):
            spots = _spots_of(db, number)
            db.execute("DELETE FROM conversation WHERE id = ?", (number,))
            for table in ("line", "pending", "changed", "edit", "numbered", "early_list"):
                db.execute(f"DELETE FROM {table} WHERE conversation = ?", (number,))  # noqa: S608 - ours
            kept = _of_others(db, Conversation(person, bool(is_group), name, other_server), other, server_id)
            blank = [at for at in spots if at not in kept]
            db.executemany("INSERT OR IGNORE INTO erasure VALUES (?)", ((at,) for at in blank))
            storage.begin_epoch(db, person)
        count += len(blank)
    return count


def _of_others(db: sqlite3.Connection, mine: Conversation, other: User | Group, server_id: str) -> set[int]:
    """Places of messages that others of this server have in that conversation."""
    if isinstance(other, Group):
        found = "SELECT id FROM conversation WHERE is_group = 1 AND name = ? AND server_id = ?"
        numbers = db.execute(found, tuple(other)).fetchall()
    elif other.server_id == server_id:
        theirs = conversation(other.user_id, User(mine.person, server_id))
        found = "SELECT id FROM conversation WHERE person = ? AND is_group = ? AND name = ? AND server_id = ?"
        numbers = db.execute(found, theirs).fetchall()
    else:
        numbers = []
    return {at for (number,) in numbers for at in _spots_of(db, number)}


def _spots_of(db: sqlite3.Connection, number: int) -> list[int]:
    """Where a conversation's messages stand, and the edits of them."""
    tables = "line", "edit", "early_list"
    sql = " UNION ".join(f"SELECT place FROM {each} WHERE conversation = ?1" for each in tables)  # noqa: S608 - ours
    return [row[0] for row in db.execute(sql, (number,))]


def blank_due(db: sqlite3.Connection) -> int:
    """Blank what was deleted, and edits that hold nowhere any more; how many messages.

    What is deleted in one list and not yet in another here waits for the deletion there: it is found by its words.
    """
    holds = "SELECT place FROM edit UNION SELECT place FROM early_list"  # in somebody's list, or may do so yet
    db.execute(f"DELETE FROM erasure WHERE place IN ({holds})")  # noqa: S608 - ours
    due = {row[0] for row in db.execute("SELECT place FROM erasure")}
    due -= _undeleted(db, due)
    if due:
        _blank(db, due)
        with storage.transaction(db, is_safe=True):
            db.executemany("DELETE FROM erasure WHERE place = ?", ((at,) for at in due))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(due)


def _undeleted(db: sqlite3.Connection, spots: Iterable[int]) -> set[int]:
    """Those of these places that stand in somebody's list as they are, or edited."""
    numbers: dict[Conversation, list[int]] = {}
    asked: dict[int, set[int]] = defaultdict(set)
    for record_number, offsets in _by_record(spots).items():
        record = storage.read_record(db, record_number)
        if record is None or not record.is_whole:
            continue
        for offset in offsets:
            for each in _lists_of(db, record, offset):
                if each not in numbers:
                    numbers[each] = _numbers_of(db, each)
                for number in numbers[each]:
                    asked[number].add(place(record_number, offset))
    found = set()
    for number, wanted in asked.items():
        lines = db.execute(
            "SELECT line.place, edit.place FROM line LEFT JOIN edit USING (conversation, sequence)"
            " WHERE line.conversation = ?",
            (number,),
        )
        found |= {at for at, edit in lines if at in wanted and not _deletes(db, edit)}
    return found


def _lists_of(db: sqlite3.Connection, record: storage.Record, offset: int) -> Iterable[Conversation]:
    """The lists that a message may stand in; of a group without a person: those of all members."""
    entry = entry_at(record.body, offset)
    message = message_in(db, entry)
    if message is None or message.HasField("edit"):
        return ()
    group = group_of(message)
    return conversations_of(message).values() if group is None else (conversation("", group),)


def _numbers_of(db: sqlite3.Connection, each: Conversation) -> list[int]:
    sql = "SELECT id FROM conversation WHERE is_group = ? AND name = ? AND server_id = ?"
    if each.is_group:
        return [row[0] for row in db.execute(sql, each[1:])]
    return [row[0] for row in db.execute(f"{sql} AND person = ?", (*each[1:], each.person))]


def _deletes(db: sqlite3.Connection, at: int | None) -> bool:
    """Whether the edit at a place is a deletion."""
    record = storage.read_record(db, record_of(at)[0]) if at is not None else None
    entry = entry_at(record.body, record_of(at)[1]) if record is not None and at is not None else None
    message = message_in(db, entry)
    return message is not None and message.edit.deletes


def _known_by(db: sqlite3.Connection, record: storage.Record, offset: int) -> list[bytes]:
    """The digests by which a message to a group is known when it comes again; others have their key."""
    entry = entry_at(record.body, offset)
    message = message_in(db, entry)
    if entry is None or message is None or group_of(message) is None:
        return []
    has = conversations_of(message)
    return [gone_digest(line_key(entry.key, each.person)) for mark, each in has.items() if mark & entry.marks]


def _by_record(spots: Iterable[int]) -> dict[int, set[int]]:
    """Places as offsets, by their records."""
    offsets: dict[int, set[int]] = defaultdict(set)
    for at in spots:
        number, offset = record_of(at)
        offsets[number].add(offset)
    return offsets


def _blank(db: sqlite3.Connection, spots: Iterable[int]) -> None:
    """Overwrite messages where they stand, and make the words of their days again."""
    days = set()
    for number, each in _by_record(spots).items():
        record = storage.read_record(db, number)
        if record is None:
            continue
        body = blanked(record.body, {offset: _known_by(db, record, offset) for offset in each})
        days.add(record.day)
        with storage.transaction(db, is_safe=False):
            db.execute("UPDATE record SET body = ?, crc = ? WHERE id = ?", (body, zlib.crc32(body), number))
        end_at(db, (place(number, offset) for offset in each))
    for day in days:
        index_again(db, day)


def index_again(db: sqlite3.Connection, day: int) -> None:
    """Make a day's words from its records: an index without positions forgets nothing otherwise."""
    first, last = db.execute("SELECT first, last FROM day WHERE day = ?", (day,)).fetchone()
    with storage.transaction(db, is_safe=True):
        for kind in ("terms", "grams"):
            db.execute(f"DROP TABLE IF EXISTS {kind}_{day}")
        for number in range(first, min(last, storage.projected(db)) + 1):
            record = storage.read_record(db, number)
            if record is not None and record.is_whole:
                _write_terms_of(db, record)


def _write_terms_of(db: sqlite3.Connection, record: storage.Record) -> None:
    terms: list[tuple[int, str]] = []
    grams: list[tuple[int, str]] = []
    for entry in entries(record.body):
        message = message_in(db, entry)
        if message is None or not (text := text_of(message)):
            continue
        group = group_of(message)
        author, user = User.of(message.author), User.of(message.user)
        if group is not None:
            who = [conversation(author.user_id, group)]
        else:
            who = [conversation(author.user_id, user), conversation(user.user_id, author)]
        at = place(record.number, entry.offset)
        terms.append((at, f"{text} {tokens(who)}"))
        if is_spaceless(text):
            grams.append((at, text))
    write_terms(db, "terms", record.day, terms)
    write_terms(db, "grams", record.day, grams)


def verify(db: sqlite3.Connection) -> dict[str, int]:
    """Look at each record and each line: how many there are, and how many of them are broken."""
    records = broken = lines = lost = gone = 0
    last = 0
    while row := db.execute("SELECT id FROM record WHERE id > ? ORDER BY id LIMIT 1", (last,)).fetchone():
        last = row[0]
        record = storage.read_record(db, last)
        records += 1
        broken += record is None or not record.is_whole
        if record is not None:
            gone += sum(storage.files_of(db).read(filed.digest) is None for _at, filed in filed_in(record.body))
    number, body = 0, b""
    for conversation_id, sequence, at in db.execute(
        "SELECT conversation, sequence, place FROM line ORDER BY place"
    ):
        wanted, offset = record_of(at)
        if wanted != number:
            found = storage.read_record(db, wanted)
            number, body = wanted, b"" if found is None else found.body
        lines += 1
        entry = entry_at(body, offset)
        lost += entry is None or not (conversation_id and sequence)
    return {"records": records, "broken_records": broken, "lines": lines, "lost_lines": lost, "lost_files": gone}
