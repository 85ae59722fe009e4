"""The mailbox's file: what is safe, what cannot be used, and a disk without room."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from hashlib import blake2b

import pytest

from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
from parley.services.chat.groups.groups import copies
from parley.services.chat.message.life import Durability, Envelope
from parley.services.chat.message.model import name_of
from parley.services.chat.message.statuses import Status
from parley.services.chat.operator.commands import Wanted
from parley.services.chat.operator.inspection import Inspection
from parley.services.chat.storage import moves, queries
from parley.services.chat.storage import store as store_module
from parley.services.chat.storage.store import Store
from parley.shared.addresses import Group, User
from parley.shared.errors import ConfigError
from parley.shared.wire.messages import pb
from tests.support.nodes import ROOT, TIMEOUT, wait_until

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
LARGEST = (1 << 64) - 1


def key(author, number):
    """The store does not care how a key is made."""
    return blake2b(f"{author} {number}".encode("utf-8", "replace"), digest_size=16).digest()


def item(number, *, text=b"hello", snowflake=None):
    snowflake = number if snowflake is None else snowflake
    made = Envelope(ANN, snowflake, BOB, text, key=key(ANN, snowflake))
    made.id = number
    made.persist()
    return made


class Told:
    """What a store tells; each is awaited with a deadline."""

    def __init__(self):
        self.kept = asyncio.Queue()
        self.not_persisted = asyncio.Queue()

    async def next_kept(self):
        return [each.snowflake for each in await asyncio.wait_for(self.kept.get(), TIMEOUT)]

    async def next_not_kept(self):
        return [each.snowflake for each in await asyncio.wait_for(self.not_persisted.get(), TIMEOUT)]


@asynccontextmanager
async def opened(directory):
    """A store in that directory, and what it tells."""
    told = Told()
    store = Store(directory, persisted=told.kept.put_nowait, not_persisted=told.not_persisted.put_nowait)
    try:
        yield store, told
    finally:
        store.close()


async def load(store, destination, after=0, limit=1000):
    found = asyncio.get_running_loop().create_future()
    store.load(destination, after, limit, found.set_result)
    return await asyncio.wait_for(found, TIMEOUT)


async def load_owed(store, destination, after=0):
    found = asyncio.get_running_loop().create_future()
    store.load_owed(destination, after, 100, found.set_result)
    return await asyncio.wait_for(found, TIMEOUT)


def rows(directory, query="SELECT snowflake FROM message ORDER BY id"):
    """What another connection sees: what is committed."""
    with closing(sqlite3.connect(directory / "chat.db")) as other:
        return other.execute(query).fetchall()


def run(story):
    asyncio.run(asyncio.wait_for(story, 4 * TIMEOUT))


# What is kept --------------------------------------------------------------------------------------------


def test_what_is_kept_is_there_after_closing_and_opening_again(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, _told):
            store.know(BOB)
            store.know("gamma")
            store.know(BOB)
            for number in (1, 2, 3):
                store.keep(BOB, item(number, text=b"\0\xff" * number))
            store.keep("gamma", item(4))
            store.forget(item(2), Status.DELIVERED)
            store.owe(ANN, 1, b"first")
            store.owe("gamma", 2, b"other")
            store.owe(ANN, 3, b"second")
        async with opened(tmp_path) as (store, _told):
            assert (store.next_id, store.next_receipt) == (5, 4)
            assert sorted(store.counts(), key=str) == [("gamma", 1, 5), (BOB, 2, 8)]
            assert set(store.known()) == {BOB, "gamma"}
            assert store.find(key(ANN, 2)) == Status.DELIVERED
            assert sorted(store.owed_counts(), key=str) == [("gamma", 1), (ANN, 2)]
            assert await load_owed(store, ANN) == [(1, b"first"), (3, b"second")]
            assert await load_owed(store, ANN, after=1) == [(3, b"second")]
            found = await load(store, BOB)
            assert [(each.id, each.key, each.raw) for each in found] == [
                (1, key(ANN, 1), b"\0\xff"),
                (3, key(ANN, 3), b"\0\xff" * 3),
            ]
            assert all(each.durability is Durability.SAFE for each in found)
            store.paid(ANN, 1)
        async with opened(tmp_path) as (store, _told):
            assert await load_owed(store, ANN) == [(3, b"second")]
            assert await load_owed(store, "gamma") == [(2, b"other")]

    run(story())


async def move(store, source):
    found = asyncio.get_running_loop().create_future()
    store.move(source, found.set_result)
    return await asyncio.wait_for(found, TIMEOUT)


def test_what_waits_for_a_server_moves_to_its_users_and_back_with_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(moves, "AT_A_TIME", 3)
    cid, crew = User("cid o'x", "beta"), Group("crew", "alpha")
    body = pb.ChatMessage(author=ANN.to_pb(), textContent="y" * 100)

    async def story():
        async with opened(tmp_path) as (store, told):
            for number, to in enumerate((BOB, cid, BOB, Group("bob", "beta")), 1):
                made = Envelope(ANN, number, to, b"x" * number, key=key(ANN, number))
                made.id = number
                made.persist()
                store.keep("beta", made)
            [copy] = copies(body, crew, [cid], [key(ANN, 5)], Envelope(ANN, 5, crew, b"", origin="gamma"))
            copy.id, copy.body.number = 5, 1
            copy.persist()
            store.keep("beta", copy)
            await told.next_kept()
            first, second = await move(store, "beta"), await move(store, "beta")
            assert sorted(first.moved) == [(BOB, ANN, "", 2, 4, 4), (cid, ANN, "", 1, 2, 2)]
            assert (first.left, first.is_last) == ([], False)
            [(to, author, origin, count, size, own)] = second.moved
            assert (to, author, origin, count, size) == (cid, ANN, "gamma", 1, copy.size)
            assert own < 100 < size
            assert [(each.id, each.recipient, each.durability) for each in second.left] == [
                (4, Group("bob", "beta"), Durability.SAFE)
            ]
            assert second.is_last
            assert [each.id for each in await load(store, BOB)] == [1, 3]
            assert [each.id for each in await load(store, cid)] == [2, 5]
            assert (await load(store, cid))[1].raw == copy.raw
            assert [each.id for each in await load(store, "beta")] == [4]
            back = await move(store, cid)
            assert {each.destination for each in back.moved} == {"beta"}
            assert [each.id for each in await load(store, "beta")] == [2, 4, 5]
            assert (await move(store, cid)) == ([], [], True)
        assert rows(tmp_path, "SELECT id FROM message WHERE destination = 'user:bob@beta' ORDER BY id") == [
            (1,),
            (3,),
        ]

    run(story())


def test_what_people_write_is_for_nobody_else_to_read(tmp_path):
    old = os.umask(0o022)

    async def story():
        directory = tmp_path / "alpha"
        async with opened(directory) as (store, told):
            store.keep(BOB, item(1))
            await told.next_kept()
            modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
            assert set(modes) == {
                "chat.db",
                "chat.db-wal",
                "chat.db-shm",
                "chat.lock",
                "delivered.keys",
                "group.numbers",
            }
            assert set(modes.values()) == {0o600}
            assert directory.stat().st_mode & 0o777 == 0o700

    try:
        run(story())
    finally:
        os.umask(old)


GROUP, COPY = Group("crew", "beta"), Group("crew", "alpha")


def test_a_message_comes_back_as_it_was_with_who_gave_it_and_for_which_group(tmp_path):
    async def story():
        from_gamma = Envelope(ANN, 1, BOB, b"one", key=key(ANN, 1), origin="gamma")
        copy = Envelope(ANN, 2, BOB, b"two", key=key(ANN, 2), origin="gamma", group=COPY)
        to_group = Envelope(ANN, 3, GROUP, b"three", key=key(ANN, 3))
        async with opened(tmp_path) as (store, _told):
            for number, kept in enumerate((from_gamma, copy, to_group), 1):
                kept.id = number
                kept.persist()
                store.keep("beta", kept)
        async with opened(tmp_path) as (store, _told):
            found = await load(store, "beta")
            for kept, read in zip((from_gamma, copy, to_group), found, strict=True):
                assert (read.key, read.raw, read.origin, read.group) == (
                    kept.key,
                    kept.raw,
                    kept.origin,
                    kept.group,
                )
                assert type(read.recipient) is type(kept.recipient)
                assert store.find(kept.key) == Status.OTHER_SERVER_TIMEOUT

    run(story())


def test_members_and_whom_somebody_blocks_are_there_after_opening_again(tmp_path):
    async def story():
        loop = asyncio.get_running_loop()
        async with opened(tmp_path) as (store, _told):
            done = [loop.create_future() for _ in range(10)]
            store.join("crew", ANN, done[0].set_result)
            store.join("crew", BOB, done[1].set_result)
            store.join("crew", User("abe", "alpha"), done[6].set_result)
            store.leave("crew", ANN, done[2].set_result)
            store.block("ann", BOB, done[3].set_result)
            store.block("ann", ANN, done[4].set_result)
            store.unblock("ann", ANN, done[5].set_result)
            store.set_history("crew", True, done[7].set_result)
            store.set_history("tea", True, done[8].set_result)
            store.set_history("tea", False, done[9].set_result)
            assert await asyncio.wait_for(asyncio.gather(*done), TIMEOUT) == [True] * 10
        async with opened(tmp_path) as (store, _told):
            abe = User("abe", "alpha")
            assert store.members() == [("crew", BOB, False), ("crew", abe, False), ("crew", ANN, True)]
            assert store.blocked() == [("ann", BOB)]
            assert store.history_off() == ["crew"]

    run(story())


def test_what_waited_for_so_long_is_found_whatever_the_clock_does(tmp_path, monkeypatch):
    async def expired(store, seconds):
        found = asyncio.get_running_loop().create_future()
        store.expired(seconds, 0, 10, found.set_result)
        return [each.id for _to, each in await asyncio.wait_for(found, TIMEOUT)]

    wall = time.time()

    async def story():
        async with opened(tmp_path) as (store, _told):
            store.keep(BOB, item(1))
            assert await expired(store, 60.0) == []
            monkeypatch.setattr(time, "time", lambda: wall + 3600)  # while it runs the clock says nothing
            store.keep(BOB, item(2))
            assert await expired(store, 60.0) == []
        monkeypatch.setattr(time, "time", lambda: wall + 3700)  # while none ran it does
        async with opened(tmp_path) as (store, _told):
            store.keep(BOB, item(3))
            assert await expired(store, 60.0) == [1, 2]
            assert await expired(store, 200.0) == []
        monkeypatch.setattr(time, "time", lambda: wall)  # backwards
        async with opened(tmp_path) as (store, _told):
            assert await expired(store, 60.0) == [1, 2]
            assert await expired(store, 200.0) == []

    run(story())


def test_a_number_is_known_as_long_as_its_message_waits_or_its_status_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SETTLED", 20)
    monkeypatch.setattr(queries, "TRIMMED", 10)

    async def story():
        async with opened(tmp_path) as (store, told):
            store.keep(BOB, item(1))
            await told.next_kept()
            for number in range(2, 102):
                store.forget(item(number), Status.DELIVERED)
            await load(store, BOB)
            assert rows(tmp_path, "SELECT COUNT(*) FROM settled")[0][0] <= 30
            assert store.find(key(ANN, 1)) is not None
            assert store.find(key(ANN, 101)) == Status.DELIVERED
            assert store.find(key(ANN, 2)) is None
            assert store.find(key(BOB, 101)) is None
            assert len(store._seen) < 60  # by what is gone nothing is recognised any more

    run(story())


def test_messages_are_read_in_order_in_pieces(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, _told):
            for number in range(1, 8):
                store.keep(BOB, item(number, snowflake=100 - number))
            first = await load(store, BOB, limit=3)
            rest = await load(store, BOB, after=first[-1].id, limit=10)
            assert [each.snowflake for each in first + rest] == [99, 98, 97, 96, 95, 94, 93]
            assert await load(store, BOB, after=7) == []
            assert await load(store, "beta") == []

    run(story())


def test_a_message_is_called_kept_only_when_it_is_committed(tmp_path):
    async def story():
        seen = []
        async with opened(tmp_path) as (store, told):
            for number in range(1, 51):
                store.keep(BOB, item(number))
                batch = await told.next_kept()
                seen += batch
                assert [n for (n,) in rows(tmp_path)] == seen
        assert seen == list(range(1, 51))
        assert told.not_persisted.empty()

    run(story())


def test_nobody_is_told_while_another_holds_up_the_commit(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, told):
            with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                store.keep(BOB, item(1))
                asked = asyncio.get_running_loop().create_task(told.next_kept())
                await asyncio.sleep(0)
                assert rows(tmp_path) == []
                assert not asked.done()
                other.execute("ROLLBACK")
                assert await asked == [1]
                assert rows(tmp_path) == [(1,)]

    run(story())


def test_no_byte_of_what_is_erased_is_left_in_the_file_or_its_journal(tmp_path):
    def found(text):
        return [path.name for path in tmp_path.glob("chat.db*") if text in path.read_bytes()]

    async def story():
        async with opened(tmp_path) as (store, told):
            long = b"taken back " * 1000
            deleted, changed, other = item(1, text=b"taken back"), item(2, text=long), item(3, text=b"stays")
            for each in (deleted, changed, other):
                store.keep(BOB, each)
            await told.next_kept()
            assert found(b"taken back") == ["chat.db-wal"]
            changed.reworded(b"newest")
            store.forget(deleted, Status.OTHER_ERROR, erases=True)
            store.rewrite(changed, None)
            await asyncio.to_thread(wait_until, lambda: not found(b"taken back"), what="an erased journal")
            assert [each.raw for each in await load(store, BOB)] == [b"newest", b"stays"]

    run(story())


@pytest.mark.parametrize("snowflake", [0, 1, (1 << 63) - 1, 1 << 63, LARGEST])
def test_every_number_of_64_bits_comes_back(tmp_path, snowflake):
    async def story():
        async with opened(tmp_path) as (store, told):
            store.keep(BOB, item(1, snowflake=snowflake))
            store.forget(item(2, snowflake=snowflake), Status.DELIVERED)
            assert await told.next_kept() == [snowflake]
            assert [each.snowflake for each in await load(store, BOB)] == [snowflake]
        async with opened(tmp_path) as (store, _told):
            assert store.find(key(ANN, snowflake)) == Status.DELIVERED

    run(story())


def test_what_another_server_has_is_found_by_what_its_statuses_say_until_the_last(tmp_path):
    async def story():
        mine = item(1)
        copy = Envelope(ANN, 1, BOB, b"copy", key=key(ANN, "copy"), origin="gamma", group=COPY)
        async with opened(tmp_path) as (store, told):
            store.keep("beta", mine)
            await told.next_kept()
            store.hand_over(mine, Status.USER_AWAY)
            store.hand_over(copy, Status.OTHER_SERVER_TIMEOUT)
        async with opened(tmp_path) as (store, _told):
            assert rows(tmp_path) == []
            assert store.find(mine.key) == Status.USER_AWAY
            assert store.find(copy.key) == Status.OTHER_SERVER_TIMEOUT
            assert store.find_handed_over(name_of(mine)) == (mine.key, Status.USER_AWAY)
            assert store.find_handed_over(name_of(copy)) == (copy.key, Status.OTHER_SERVER_TIMEOUT)
            for other in (name_of(mine)._replace(snowflake=2), name_of(mine)._replace(author=BOB)):
                assert store.find_handed_over(other) is None
            store.answered_late(mine, Status.DELIVERED)
        async with opened(tmp_path) as (store, _told):
            assert store.find_handed_over(name_of(mine)) is None
            assert store.find_handed_over(name_of(copy)) is not None
            assert store.find(mine.key) == Status.DELIVERED

    run(story())


def test_what_other_servers_have_is_not_remembered_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "HANDED_OVER", 20)
    monkeypatch.setattr(queries, "TRIMMED", 10)

    async def story():
        async with opened(tmp_path) as (store, _told):
            for number in range(1, 102):
                store.hand_over(item(number), Status.USER_AWAY)
                await load(store, BOB)
            assert rows(tmp_path, "SELECT COUNT(*) FROM handed_over")[0][0] <= 30
            assert store.find_handed_over(name_of(item(101))) is not None
            store.expired(0.0, 0, 10, lambda _found: None)
            await load(store, BOB)
            assert rows(tmp_path, "SELECT COUNT(*) FROM handed_over") == [(0,)]

    run(story())


def test_the_last_status_of_a_message_counts(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, _told):
            store.forget(item(4), Status.USER_AWAY)
            store.forget(item(4), Status.DELIVERED)
        async with opened(tmp_path) as (store, _told):
            assert store.find(key(ANN, 4)) == Status.DELIVERED

    run(story())


def test_what_waits_while_one_commit_is_made_is_one_transaction(tmp_path):
    """Counted by SQLite itself: the statements that the writer's connection runs."""

    async def story():
        async with opened(tmp_path) as (store, told):
            statements = []
            with closing(sqlite3.connect(tmp_path / "chat.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # the first commit has to wait
                store._db.set_trace_callback(statements.append)
                for number in range(1, 2001):
                    store.keep(BOB, item(number))
                other.execute("ROLLBACK")
            kept = []
            while len(kept) < 2000:
                kept += await told.next_kept()
            store._db.set_trace_callback(None)
        assert kept == list(range(1, 2001))
        assert len(rows(tmp_path)) == 2000
        assert 1 <= statements.count("COMMIT") <= 2

    run(story())


def test_a_batch_has_an_end_and_loses_nothing_there(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "BATCH", 3)

    async def story():
        async with opened(tmp_path) as (store, told):
            for number in range(1, 11):
                store.keep(BOB, item(number))
            kept = []
            while len(kept) < 10:
                batch = await told.next_kept()
                assert len(batch) <= 3
                kept += batch
            store.keep(BOB, item(11))  # and closes: what was asked for is done
        assert kept == list(range(1, 11))
        assert [n for (n,) in rows(tmp_path)] == list(range(1, 12))

    run(story())


# What cannot be used ----------------------------------------------------------------------------------------


def refused(directory):
    """The one line that says why a store cannot be opened."""

    async def story():
        with pytest.raises(ConfigError) as caught:
            Store(directory, persisted=lambda _items: None, not_persisted=lambda _items: None)
        return str(caught.value)

    line = asyncio.run(story())
    assert "\n" not in line
    return line


def filled(directory, count=2000):
    """A whole mailbox, closed; returns its path."""

    async def story():
        async with opened(directory) as (store, _told):
            for number in range(1, count + 1):
                store.keep(BOB, item(number, text=b"x" * 100))

    run(story())
    return directory / "chat.db"


def overwrite(path, data, at):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


DAMAGE = {
    "its head": lambda path: overwrite(path, b"\x55" * 100, 0),
    "its middle": lambda path: overwrite(path, b"\x55" * 8192, path.stat().st_size // 2),
    "its end": lambda path: overwrite(path, b"\x55" * 4096, path.stat().st_size - 4096),
    "half of it lost": lambda path: os.truncate(path, path.stat().st_size // 2),
    "all of it lost": lambda path: os.truncate(path, 0),
    "not a database": lambda path: path.write_text("Dear diary, " * 1000),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path, damage):
    path = filled(tmp_path)
    damage(path)
    before = path.read_bytes()
    line = refused(tmp_path)
    assert str(path) in line
    assert "restore it from a backup" in line
    assert path.read_bytes() == before
    assert refused(tmp_path) == line  # and nothing of the first attempt is in the way


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    path = filled(tmp_path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=1000")
    before = path.read_bytes()
    assert "newer" in refused(tmp_path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipe (name TEXT)")
    before = path.read_bytes()
    assert "another program" in refused(tmp_path)
    assert path.read_bytes() == before


def test_a_start_that_was_cut_short_is_no_damage(tmp_path):
    (tmp_path / "chat.new").write_bytes(b"half a file")
    filled(tmp_path, 1)
    assert rows(tmp_path) == [(1,)]


def test_a_second_store_on_the_same_directory_is_refused_until_the_first_is_closed(tmp_path):
    async def story():
        async with opened(tmp_path):
            with pytest.raises(ConfigError, match="in use by another chat process"):
                Store(tmp_path, persisted=lambda _items: None, not_persisted=lambda _items: None)
        async with opened(tmp_path):
            pass

    run(story())


OPEN = """
import asyncio, sys
from hashlib import blake2b
from pathlib import Path
from parley.services.chat.storage.store import Store
from parley.shared.errors import ConfigError
async def main():
    nothing = lambda items: None
    try:
        Store(Path(sys.argv[1]), persisted=nothing, not_persisted=nothing)
    except ConfigError as error:
        sys.exit(f"refused: {error}")
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


def opener(directory):
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_another_process_is_refused_until_the_first_is_dead(tmp_path):
    with opener(tmp_path) as first:
        assert first.stdout.readline() == "open\n"
        with opener(tmp_path) as second:
            _out, err = second.communicate(timeout=TIMEOUT)
            assert "in use by another chat process" in err
            assert second.returncode == 1
        first.kill()
    with opener(tmp_path) as third:
        assert third.stdout.readline() == "open\n"
        third.communicate("", timeout=TIMEOUT)


def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "PARLEY_DATA_DIR" in refused(tmp_path / "file" / "alpha")


# What copies share ---------------------------------------------------------------------------------------------

CREW = Group("crew", "alpha")
TEXT = "a secret of the crew" * 1000


def copies_for(count, first=1):
    sent = pb.ChatMessage(messageSnowflake=7, author=ANN.to_pb(), group=CREW.to_pb(), textContent=TEXT)
    members = [User(f"member{n}", "alpha") for n in range(count)]
    made = list(copies(sent, CREW, members, [key(member, 7) for member in members], Envelope(ANN, 1, CREW, b"")))
    for number, copy in enumerate(made, first):
        copy.id = number
    return made


def test_a_groups_body_is_on_disk_once_and_in_memory_once_and_goes_with_its_last_copy(tmp_path):
    async def story():
        made = copies_for(500)
        frames = [copy.raw for copy in made]
        async with opened(tmp_path) as (store, told):
            for copy in made[:300]:
                store.keep(copy.recipient, copy)
            assert len(await told.next_kept()) == 300
            for copy in made[300:]:
                store.keep(copy.recipient, copy)
            assert len(await told.next_kept()) == 200
        assert rows(tmp_path, "SELECT COUNT(*), SUM(LENGTH(data) > 20000) FROM body") == [(1, 1)]
        assert sum(each.stat().st_size for each in tmp_path.glob("chat.db*")) < 50 * len(TEXT)
        async with opened(tmp_path) as (store, _told):
            read = [(await load(store, copy.recipient))[0] for copy in made]
            assert [(copy.key, copy.raw, copy.group) for copy in read] == [
                (copy.key, frame, CREW) for copy, frame in zip(made, frames, strict=True)
            ]
            assert len({id(copy.body) for copy in read}) == 1
            assert sum(size for _to, _count, size in store.counts()) == sum(map(len, frames))
            for copy in read[:-1]:
                store.forget(copy, Status.DELIVERED)
            await load(store, BOB)
            assert rows(tmp_path, "SELECT COUNT(*) FROM body") == [(1,)]
            store.forget(read[-1], Status.DELIVERED)
            await load(store, BOB)
            assert rows(tmp_path, "SELECT COUNT(*) FROM body") == [(0,)]
            late = copies_for(2, first=1001)
            assert store.next_id == 1
            store.keep(late[0].recipient, late[0])
            assert (await load(store, late[0].recipient))[0].raw == late[0].raw

    run(story())


def test_a_copy_that_is_kept_after_all_others_were_answered_has_its_body_again(tmp_path):
    async def story():
        one, other = copies_for(2)
        async with opened(tmp_path) as (store, _told):
            store.keep(one.recipient, one)
            await load(store, BOB)
            store.forget(one, Status.DELIVERED)
            await load(store, BOB)
            store.keep(other.recipient, other)
            await load(store, BOB)
        async with opened(tmp_path) as (store, _told):
            assert [each.raw for each in await load(store, other.recipient)] == [other.raw]

    run(story())


def test_an_operator_sees_what_copies_share(tmp_path):
    async def story():
        (copy,) = copies_for(1)
        async with opened(tmp_path) as (store, _told):
            store.keep(copy.recipient, copy)
            await load(store, BOB)
            with Inspection(tmp_path) as inspection:
                (entry,) = inspection.entries(Wanted(), 10)
                assert (entry.group, entry.recipient, entry.size) == (CREW, copy.recipient, len(copy.raw))
                shown = inspection.message(1)
                assert (shown.textContent, shown.messageSnowflake) == (TEXT, 7)
                assert User.of(shown.userOfGroup.user) == copy.recipient
                ((_to, outline),) = inspection.envelopes([1])
                assert (outline.size, outline.own_size) == (copy.size, copy.own_size)
            found = asyncio.get_running_loop().create_future()
            store.expired(0.0, 0, 10, found.set_result)
            ((_to, old),) = await asyncio.wait_for(found, TIMEOUT)
            assert (old.size, old.own_size, old.body.number) == (copy.size, copy.own_size, copy.body.number)

    run(story())


def test_the_clock_may_be_set_while_it_runs_or_while_none_does(tmp_path, monkeypatch):
    """A machine without a battery: it begins in 1970, and is told the time by somebody."""

    async def oldest(store):
        return store.oldest_age()

    async def story():
        monkeypatch.setattr(time, "time", lambda: 100.0)
        async with opened(tmp_path) as (store, told):
            store.keep(BOB, item(1))
            await told.next_kept()
            monkeypatch.setattr(time, "time", lambda: 1.8e9)
        for now in (1.8e9 + 1, 1.8e9 + 8 * 86400, 1000.0, 1.8e9):
            monkeypatch.setattr(time, "time", lambda now=now: now)
            async with opened(tmp_path) as (store, _told):
                assert await oldest(store) < 60.0

    run(story())


# A disk without room ------------------------------------------------------------------------------------------

NO_ROOM = """
import asyncio, ctypes, ctypes.util, os, sys
from functools import partial
from pathlib import Path

from parley.services.chat.storage import store as module
from tests.integration.test_store import ANN, BOB, Told, item, load, opened, rows
from parley.services.chat.message.statuses import Status

async def main(directory, fill, free):
    module.RETRY = 0.05
    async with opened(directory) as (store, told):
        store.keep(BOB, item(1))
        assert await told.next_kept() == [1]
        fill()
        store.keep(BOB, item(2, text=b"y" * 300_000))
        assert await told.next_not_kept() == [2]
        assert store.error, "no reason is given"
        store.owe(ANN, 1, b"owed")
        store.forget(item(1), Status.DELIVERED)
        store.keep(BOB, item(3, text=b"y" * 300_000))
        assert await told.next_not_kept() == [3]
        assert rows(directory) == [(1,)], "half of a batch was written"
        assert [each.snowflake for each in await load(store, BOB)] == [1], "what needs no room goes on"
        offered = item(4, text=b"y" * 30_000)
        offered.is_retried_by_origin = True
        store.keep(BOB, offered)
        assert [each.id for each in await load(store, BOB)] == [1, 4], "it waits, and is tried again"
        assert [each.id for each in await load(store, BOB, limit=1)] == [1]
        assert [each.id for each in await load(store, BOB, after=4)] == []
        assert await load(store, ANN) == []
        free()
        async with asyncio.timeout(10):  # nobody asks for anything: it recovers by itself
            while store.error:
                await asyncio.sleep(0.01)
        assert await told.next_kept() == [4]
        assert rows(directory) == [(4,)], "the answered message is still there, or the other is not"
        assert rows(directory, "SELECT payload FROM owed") == [(b"owed",)]
        store.forget(offered, Status.DELIVERED)
        store.keep(BOB, item(5, text=b"y" * 300_000))
        assert await told.next_kept() == [5]
    async with opened(directory) as (store, told):
        assert store.find(item(1).key) == Status.DELIVERED
        assert [each.snowflake for each in await load(store, BOB)] == [5]
    print("passed")
"""

ON_A_SMALL_DISK = (
    NO_ROOM
    + """
directory = Path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x00020000) == 0                                       # CLONE_NEWNS: a mount of our own
assert libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0        # MS_PRIVATE | MS_REC
assert libc.mount(b"tmpfs", bytes(directory), b"tmpfs", 0, b"size=1m") == 0

def fill():
    with (directory / "other").open("wb", buffering=0) as file:
        try:
            while file.write(b"z" * 4096):
                pass
        except OSError:
            pass

asyncio.run(main(directory, fill, (directory / "other").unlink))
"""
)

WITH_A_LIMIT = (
    NO_ROOM
    + """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE)
infinite = resource.RLIM_INFINITY
directory = Path(sys.argv[1])

def fill():
    limit(((directory / "chat.db-wal").stat().st_size, infinite))

asyncio.run(main(directory, fill, partial(limit, (infinite, infinite))))
"""
)


def passes(program, directory):
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * TIMEOUT,
        check=False,
    )
    assert done.stdout == "passed\n", done.stderr


def test_a_full_disk_is_told_and_recovered_from(tmp_path):
    mount = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    passes(ON_A_SMALL_DISK, tmp_path)


def test_a_file_that_may_not_grow_is_told_and_recovered_from(tmp_path):
    passes(WITH_A_LIMIT, tmp_path)


@pytest.mark.parametrize("name", [" ", " bob", "bob ", "a@b", "user:", "", "\u00e9"])
def test_whatever_somebody_calls_themselves_comes_back_the_same(tmp_path, name):
    odd = User(name, "alpha")

    async def story():
        async with opened(tmp_path) as (store, told):
            store.know(odd)
            store.keep(odd, item(1))
            assert await told.next_kept() == [1]
        async with opened(tmp_path) as (store, _told):
            assert store.known() == [odd]
            assert [to for to, _count, _size in store.counts()] == [odd]
            assert [each.id for each in await load(store, odd)] == [1]

    run(story())


def test_what_was_written_last_is_not_given_up_with_a_lost_file(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, told):
            store.keep(BOB, item(1))
            await told.next_kept()
            os.link(tmp_path / "chat.db-wal", tmp_path / "kept-wal")

    run(story())
    (tmp_path / "chat.db").unlink()
    (tmp_path / "kept-wal").rename(tmp_path / "chat.db-wal")
    assert "is gone" in refused(tmp_path)


def test_what_was_delivered_at_once_is_recognised_by_the_next_process(tmp_path):
    async def story():
        async with opened(tmp_path) as (store, _told):
            for number in range(1, 1001):
                store.delivered(item(number))
            assert store.find(key(ANN, 7)) == Status.DELIVERED
        async with opened(tmp_path) as (store, _told):
            assert [store.find(key(ANN, n)) for n in (1, 1000)] == [Status.DELIVERED] * 2
            assert store.find(key(ANN, 1001)) is None
            assert store.find(key(BOB, 7)) is None

    run(story())


def test_the_oldest_of_what_was_delivered_make_room(tmp_path):
    keys = {number: bytes([number]) * 16 for number in (2, 4, 6, 8, 10, 11)}
    expected = [False, True, True, True, True, True]
    table = DeliveredKeys.open(tmp_path / "delivered", buckets=2)
    for number in (2, 4, 6, 8, 8, 10, 11):
        table.add(keys[number])
    assert [key in table for key in keys.values()] == expected
    assert bytes([8]) * 8 + bytes(8) not in table, "half a key is no key"
    table.close()
    table = DeliveredKeys.open(tmp_path / "delivered", buckets=2)
    assert [key in table for key in keys.values()] == expected
    table.close()


@pytest.mark.parametrize("poison", [1 << 64, "\ud800"], ids=["a number too large", "half a character"])
def test_what_can_never_be_written_is_refused_alone_and_the_others_are_kept(tmp_path, poison):
    async def story():
        broken = []
        told = Told()
        store = Store(
            tmp_path,
            persisted=told.kept.put_nowait,
            not_persisted=told.not_persisted.put_nowait,
            broken=broken.append,
        )
        bad = item(2)
        if isinstance(poison, str):
            bad.author = User(poison, "alpha")
        else:
            bad.id = poison
        for each in (item(1), bad, item(3)):
            store.keep(BOB, each)
        kept = await told.next_kept()
        while len(kept) < 2:
            kept += await told.next_kept()
        assert (kept, await told.next_not_kept()) == ([1, 3], [2])
        store.keep(BOB, item(4))
        assert await told.next_kept() == [4]
        assert (store.error, broken) == ("", [])
        store.close()
        assert rows(tmp_path) == [(1,), (3,), (4,)]

    run(story())
