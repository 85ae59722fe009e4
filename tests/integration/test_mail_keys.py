"""Keys of messages that wait: known in memory or by their table, after a restart, a migration and a crash."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage import mail_keys, schema
from parley.services.chat.storage.store import Store
from parley.shared.addresses import User

ANN, BOB = User("ann", "alpha"), User("bob", "alpha")
MANY = 4
TIMEOUT = 15.0


@pytest.fixture(autouse=True)
def _few_in_memory(monkeypatch):
    monkeypatch.setattr(mail_keys, "MANY", MANY)


def key(number):
    """Keys of which the second halves are of the reverse order, as those of hashes may be."""
    return (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "little") + bytes([number]) * 8


def item(number, key_of=None):
    made = Envelope(ANN, number, BOB, b"frame", key=key(number if key_of is None else key_of))
    made.id = number
    made.persist()
    return made


@asynccontextmanager
async def opened(directory):
    store = Store(directory, persisted=lambda _: None, not_persisted=lambda _: None)
    try:
        yield store
    finally:
        store.close()


async def written(store):
    """All that was asked for is written, and was told."""
    safe = asyncio.get_running_loop().create_future()
    store.when_safe(lambda: safe.set_result(None))
    await asyncio.wait_for(safe, TIMEOUT)
    found = asyncio.get_running_loop().create_future()
    store.load(BOB, 0, 1, found.set_result)
    await asyncio.wait_for(found, TIMEOUT)


async def keep(store, *numbers):
    """Each in a commit of its own."""
    for number in numbers:
        store.keep(BOB, item(number))
        await written(store)


def in_table(directory):
    with closing(sqlite3.connect(directory / "chat.db")) as db:
        return sorted(row[0] for row in db.execute("SELECT id FROM mail_key"))


def known(store, numbers):
    return [number for number in numbers if store.find(key(number)) == Status.USER_AWAY]


def run(story):
    asyncio.run(asyncio.wait_for(story, 4 * TIMEOUT))


def test_each_is_known_whether_its_key_is_in_memory_or_in_the_table(tmp_path):
    async def story():
        async with opened(tmp_path) as store:
            for number in range(1, 15):
                await keep(store, number)
                assert known(store, range(1, 20)) == [*range(1, number + 1)]
            assert in_table(tmp_path) == [*range(1, 13)]
        async with opened(tmp_path) as store:
            assert known(store, range(1, 20)) == [*range(1, 15)]
            assert in_table(tmp_path) == [*range(1, 13)]

    run(story())


def test_many_that_are_kept_at_once_are_known_while_and_after_they_are_written(tmp_path):
    async def story():
        async with opened(tmp_path) as store:
            for number in range(1, 12):
                store.keep(BOB, item(number))
            await written(store)
            assert known(store, range(1, 20)) == [*range(1, 12)]
        async with opened(tmp_path) as store:
            assert known(store, range(1, 20)) == [*range(1, 12)]

    run(story())


def test_one_that_is_written_late_is_known_after_a_restart(tmp_path):
    async def story():
        async with opened(tmp_path) as store:
            await keep(store, 2, 3, 4, 5)
            assert in_table(tmp_path) == [2, 3, 4, 5]
            await keep(store, 1)
        async with opened(tmp_path) as store:
            assert known(store, range(1, 20)) == [1, 2, 3, 4, 5]
            assert in_table(tmp_path) == [1, 2, 3, 4, 5]

    run(story())


def test_the_key_of_one_that_is_over_leaves_the_table(tmp_path):
    async def story():
        async with opened(tmp_path) as store:
            await keep(store, *range(1, 7))
            for number in (2, 3, 6):
                store.forget(item(number), Status.DELIVERED)
            await written(store)
            assert in_table(tmp_path) == [1, 4]
            assert [store.find(key(number)) for number in (2, 6)] == [Status.DELIVERED] * 2
        async with opened(tmp_path) as store:
            assert known(store, range(1, 20)) == [1, 4, 5]

    run(story())


def test_another_message_with_the_same_first_half_is_another(tmp_path):
    async def story():
        async with opened(tmp_path) as store:
            await keep(store, *range(1, 7))
            for number in (2, 6):
                assert store.find(key(number)[:8] + b"another!") is None

    run(story())


def test_large_messages_go_into_the_table_sooner(tmp_path, monkeypatch):
    monkeypatch.setattr(mail_keys, "MUCH", 2 * len(b"frame"))

    async def story():
        async with opened(tmp_path) as store:
            await keep(store, 1, 2, 3)
            assert in_table(tmp_path) == [1, 2]

    run(story())


# Migration ----------------------------------------------------------------------------------------------------


@pytest.fixture
def version_6(tmp_path):
    """A file of version 6 in which three wait."""

    async def story():
        async with opened(tmp_path) as store:
            await keep(store, 1, 2, 3)

    run(story())
    with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as db:
        db.executescript(
            "BEGIN; DROP TRIGGER message_key_over; DROP TABLE mail_key; DROP TABLE keyed; "
            "CREATE INDEX message_key ON message (key); PRAGMA user_version=6; COMMIT;"
        )
    return tmp_path


def test_what_waited_in_version_6_is_known(version_6):
    async def story():
        async with opened(version_6) as store:
            assert known(store, range(1, 20)) == [1, 2, 3]
            assert in_table(version_6) == [1, 2, 3]
            await keep(store, 4)
        async with opened(version_6) as store:
            assert known(store, range(1, 20)) == [1, 2, 3, 4]

    run(story())


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk is full"), KeyboardInterrupt()])
def test_a_migration_that_is_broken_off_is_repeated(version_6, monkeypatch, error):
    migration = schema.MIGRATIONS[6]

    def fail(db):
        migration(db)
        raise error

    with monkeypatch.context() as patch:
        patch.setitem(schema.MIGRATIONS, 6, fail)
        with pytest.raises(BaseException, match=r"disk is full|^$"):
            schema.open_file(version_6 / "chat.db")
    with closing(sqlite3.connect(version_6 / "chat.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (6,)
        assert db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'message_key'").fetchone()
    test_what_waited_in_version_6_is_known(version_6)
