"""A mailbox's file of an older version is migrated with everything in it, or left as it is."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from parley.services.chat.message.model import Name
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage import schema
from parley.services.chat.storage.store import Store
from parley.shared.addresses import Group, User
from parley.shared.errors import ConfigError
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import decode, encode, pb
from tests.support.nodes import ROOT
from tests.support.sinks import ack, message

ANN, AMY, BOB = User("ann", "alpha"), User("amy", "alpha"), User("bob", "beta")
LARGEST = (1 << 64) - 1
OLD_SCHEMA = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL,
    author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL,
    size INTEGER NOT NULL, kept_at REAL NOT NULL, raw BLOB NOT NULL
);
CREATE INDEX message_destination ON message (destination, id, size);
CREATE TABLE settled (
    author TEXT NOT NULL, author_server TEXT NOT NULL, snowflake INTEGER NOT NULL,
    recipient TEXT NOT NULL, recipient_server TEXT NOT NULL, status INTEGER NOT NULL, at REAL NOT NULL
);
CREATE INDEX settled_at ON settled (at);
CREATE TABLE owed (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, raw BLOB NOT NULL);
CREATE INDEX owed_destination ON owed (destination);
CREATE TABLE known (destination TEXT PRIMARY KEY) WITHOUT ROWID;
"""
WAITING = [(7, ANN, 1, AMY, ""), (8, BOB, LARGEST, AMY, "beta"), (9, ANN, 2, BOB, ""), (12, ANN, 3, AMY, "")]
"""Number, author, snowflake, recipient, and the server that gave it."""
STATUS = ack(5, (AMY, Status.DELIVERED), author=BOB)


def frame(author, snowflake, to):
    return encode("MESSAGE", message(author, snowflake, to, "hello\n there"))


@pytest.fixture
def path(tmp_path):
    """A file of version 1, of the server alpha."""
    made = tmp_path / "chat.db"
    with closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.executescript(f"BEGIN; {OLD_SCHEMA} PRAGMA user_version=1; COMMIT;")
        db.execute("PRAGMA journal_mode=WAL")
        for number, author, snowflake, to, _origin in WAITING:
            destination = f"user:{to}" if to.server_id == "alpha" else f"server:{to.server_id}"
            signed = snowflake - (1 << 64) if snowflake >> 63 else snowflake
            raw = frame(author, snowflake, to)
            values = (number, destination, *author, signed, *to, len(raw), 1.7e9, raw)
            db.execute("INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?)", values)
        for status in (Status.USER_AWAY, Status.DELIVERED):
            db.execute("INSERT INTO settled VALUES (?,?,?,?,?,?,?)", (*ANN, -5, *AMY, status, 1.7e9))
        for destination in ("server:beta", f"user:{ANN}"):
            db.execute(
                "INSERT INTO owed (destination, raw) VALUES (?,?)", (destination, encode("MESSAGE_ACK", STATUS))
            )
        db.executemany("INSERT INTO known VALUES (?)", [(f"user:{ANN}",), (f"user:{AMY}",), ("server:beta",)])
    return made


def content(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone(), list(db.iterdump())


async def read(ask, *arguments):
    found = asyncio.get_running_loop().create_future()
    ask(*arguments, found.set_result)
    return await asyncio.wait_for(found, 15.0)


def migrated(path, look):
    """What is seen by a coroutine function that is given the store."""

    async def run():
        store = Store(path.parent, persisted=lambda _: None, not_persisted=lambda _: None)
        try:
            return await look(store)
        finally:
            store.close()

    return asyncio.run(run())


def test_what_waited_waits_in_the_same_order_with_its_bytes_and_whoever_gave_it(path):
    async def look(store):
        assert (store.next_id, len(store.counts())) == (13, 2)
        assert {destination: count for destination, count, _size in store.counts()} == {AMY: 3, "beta": 1}
        return await read(store.load, AMY, 0, 10) + await read(store.load, "beta", 0, 10)

    found = [(i.id, i.author, i.snowflake, i.recipient, i.origin, i.raw, i.group) for i in migrated(path, look)]
    expected = [(*row, frame(*row[1:4]), None) for row in WAITING]
    assert sorted(found) == sorted(expected)
    assert [row[0] for row in found] == [7, 8, 12, 9]


def test_what_comes_again_is_recognised(path):
    async def look(store):
        keys = MessageKeys(store.secret)
        sent = [(author, snowflake, to) for _id, author, snowflake, to, _origin in WAITING]
        return [
            store.find(keys.of(author, to, None, message(author, snowflake, to, "hello\n there")))
            for author, snowflake, to in [*sent, (ANN, LARGEST - 4, AMY), (ANN, 99, AMY)]
        ]

    away, timeout = Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT
    assert migrated(path, look) == [away, away, timeout, away, None, None]


def test_what_was_owed_is_owed_and_who_was_known_is(path):
    async def look(store):
        assert sorted(map(str, store.known())) == ["amy@alpha", "ann@alpha", "beta"]
        assert store.owed_counts() == [("beta", 1), (ANN, 1)]
        assert store.next_receipt == 3
        return await read(store.load_owed, "beta", 0, 10) + await read(store.load_owed, ANN, 0, 10)

    assert migrated(path, look) == [(1, STATUS.SerializeToString()), (2, STATUS.SerializeToString())]


def test_nothing_has_waited_for_long_yet(path):
    """The old file had the machine's clock: it is not trusted."""

    async def look(store):
        assert store.members() == store.blocked() == []
        return await read(store.expired, 60.0, 0, 10)

    assert migrated(path, look) == []


def test_it_is_migrated_once(path):
    async def look(store):
        return store.counts()

    first = migrated(path, look)
    version, dump = content(path)
    assert version == (schema.VERSION,)
    assert not any("old_" in line for line in dump)
    assert migrated(path, look) == first


def tables(path):
    """(type, name, its text, without white space) of all that there is."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return sorted((kind, name, "".join(text.split()).replace('"', "")) for kind, name, text in found)


def test_it_has_the_tables_of_a_new_one(path, tmp_path):
    async def look(_store):
        return None

    migrated(path, look)
    new = tmp_path / "new" / "chat.db"
    migrated(new, look)
    assert tables(path) == tables(new)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk is full"), KeyboardInterrupt()])
def test_a_migration_that_fails_leaves_the_old_file_whole(path, monkeypatch, error):
    before = content(path)

    def fail(db):
        schema._from_1(db)
        raise error

    with monkeypatch.context() as patch:
        patch.setitem(schema.MIGRATIONS, 1, fail)
        expected = ConfigError if isinstance(error, sqlite3.Error) else KeyboardInterrupt
        with pytest.raises(expected):
            schema.open_file(path)
    assert content(path) == before
    with closing(schema.open_file(path)) as db:
        assert db.execute("SELECT COUNT(*) FROM message").fetchone() == (len(WAITING),)


def test_a_row_that_cannot_be_read_leaves_the_old_file_whole(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO owed (destination, raw) VALUES ('server:beta', x'00')")
    before = content(path)
    with pytest.raises(ConfigError, match="damaged"):
        schema.open_file(path)
    assert content(path) == before


# What Parley had at 7054db1 ------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """A data directory of schema 2."""
    with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as db:
        db.executescript((ROOT / "tests/data/chat-2.sql").read_text(encoding="utf-8"))
    (tmp_path / "delivered").write_bytes(bytes(8 * 1024 * 1024))
    return tmp_path / "chat.db"


ODD = User("o'dd name ", "alpha")
CREW, FAR = Group("crew", "alpha"), Group("far", "beta")


def test_all_that_waited_in_a_kept_directory_waits_and_is_recognised_by_what_it_is(kept):
    async def look(store):
        items = [i for to in (AMY, ANN, ODD, "beta") for i in await read(store.load, to, 0, 100)]
        keys = MessageKeys(store.secret)
        for item in items:
            sent = decode(read_datagram(item.raw), pb.ChatMessage)
            assert item.key == keys.of(item.author, item.recipient, item.group, sent)
            assert (item.snowflake == 0) == (item.key == b"")
            assert item.snowflake == 0 or store.find(item.key) is not None
            sent.textContent = "another"
            assert store.find(keys.of(item.author, item.recipient, item.group, sent)) is None
        return {(i.id, i.author, i.snowflake, i.recipient, i.origin, i.group) for i in items}

    ben = User("ben", "beta")
    assert migrated(kept, look) == {
        (1, ANN, 1, AMY, "", None),
        (2, BOB, LARGEST, AMY, "beta", None),
        (3, ANN, 2, BOB, "", None),
        (4, ANN, 3, FAR, "", None),
        (5, BOB, 4, ANN, "beta", CREW),
        (6, BOB, 4, AMY, "beta", CREW),
        (7, BOB, 4, ben, "beta", CREW),
        (8, ANN, 5, ODD, "", None),
        (9, ANN, 0, AMY, "", None),
    }


def test_a_kept_directory_has_the_tables_of_a_new_one(kept, tmp_path):
    async def look(_store):
        return None

    migrated(kept, look)
    new = tmp_path / "new" / "chat.db"
    migrated(new, look)
    assert tables(kept) == tables(new)


@pytest.mark.parametrize("number", [2, 3])
def test_whichever_migration_fails_leaves_what_waits(kept, monkeypatch, number):
    before = content(kept)[1]

    migration = schema.MIGRATIONS[number]

    def fail(db):
        migration(db)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setitem(schema.MIGRATIONS, number, fail)
        with pytest.raises(ConfigError):
            schema.open_file(kept)
    if number == 2:
        assert content(kept)[1] == before
    with closing(schema.open_file(kept)) as db:
        assert db.execute("SELECT COUNT(*) FROM message").fetchone() == (9,)


def test_nothing_else_of_a_kept_directory_is_lost(kept):
    async def look(store):
        assert set(store.known()) == {ANN, AMY, ODD, "beta"}
        assert store.members() == [("crew", ANN, False), ("crew", User("ben", "beta"), False), ("crew", AMY, True)]
        assert store.blocked() == [("ann", User("mallory", "beta"))]
        assert await read(store.load_owed, ANN, 0, 10) == [(1, b"\x08\x09")]
        return await read(store.load_owed, "beta", 0, 10)

    assert migrated(kept, look) == [(2, b"\x08\x07")]
    assert not kept.with_name("delivered").exists()


def test_what_was_recognised_by_what_anybody_can_make_is_delivered_again_and_never_called_delivered(kept):
    async def look(store):
        keys = MessageKeys(store.secret)
        sent = [(10, "was delivered"), (13, "went by")]
        return [store.find(keys.of(ANN, AMY, None, message(ANN, number, AMY, text))) for number, text in sent]

    assert migrated(kept, look) == [None, None]


def test_what_another_server_had_is_still_answered_by_it(kept):
    async def look(store):
        return [store.find_handed_over(Name(ANN, number, BOB, kind)) for number in (11, 12) for kind in (0, 1, 2)]

    assert migrated(kept, look) == [(b"", Status.USER_AWAY)] * 3 + [None] * 3
