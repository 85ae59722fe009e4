"""Large messages are files of their own: each once, before its record and after it, and never a torn one."""

import asyncio
import os
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.services.chat.operator.inspection import Inspection
from parley.services.chat.storage import schema
from parley.services.chat.storage.bodies import LARGE, Body, Copy, head_of
from parley.services.chat.storage.body_files import ARCHIVE, HANDED, MAILBOX, BodyFiles
from parley.services.chat.storage.store import Store
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import encode, pb
from tests.support.nodes import TIMEOUT

ANN, BOB, CREW = User("ann", "alpha"), User("bob", "alpha"), Group("crew", "alpha")


def frame(number, size=LARGE, filling=b"x"):
    document = pb.Document(filename="a", data=filling * size)
    return encode(
        "MESSAGE",
        pb.ChatMessage(messageSnowflake=number, author=ANN.to_pb(), user=BOB.to_pb(), document=document),
    )


def envelope(number, raw):
    made = Envelope(ANN, number, BOB, raw, key=number.to_bytes(16, "little"))
    made.id = number
    made.persist()
    return made


class Opened:
    """A store, and what it tells."""

    def __init__(self, directory):
        self.kept, self.not_kept = asyncio.Queue(), asyncio.Queue()
        self.directory = directory
        self.store = Store(directory, persisted=self.kept.put_nowait, not_persisted=self.not_kept.put_nowait)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.store.close()

    async def keep(self, *envelopes):
        for each in envelopes:
            self.store.keep(BOB, each)
        return await asyncio.wait_for(self.kept.get(), TIMEOUT)

    async def settled(self):
        done = asyncio.get_running_loop().create_future()
        self.store.when_safe(lambda: done.set_result(None))
        await asyncio.wait_for(done, TIMEOUT)

    async def load(self):
        found = asyncio.get_running_loop().create_future()
        self.store.load(BOB, 0, 100, found.set_result)
        return await asyncio.wait_for(found, TIMEOUT)

    async def filed(self, message):
        found = asyncio.get_running_loop().create_future()
        self.store.file((message.content, message.digest), found.set_result)
        return await asyncio.wait_for(found, TIMEOUT)

    @property
    def names(self):
        return names(self.directory / MAILBOX)


def names(directory):
    return sorted(each.name for each in directory.iterdir()) if directory.exists() else []


def name(content):
    return sha256(content).hexdigest()


def run(story):
    asyncio.run(asyncio.wait_for(story, 4 * TIMEOUT))


def bytes_in(directory):
    return b"".join(each.read_bytes() for each in directory.iterdir() if each.is_file())


def test_a_large_message_that_waits_is_one_file_and_its_row_has_the_name_alone(tmp_path):
    raw, small = frame(1, filling=b"secret"), frame(2, size=LARGE // 2)

    async def story():
        async with Opened(tmp_path) as it:
            await it.keep(envelope(1, raw), envelope(2, small))
            assert it.names == [name(raw)]
            assert (tmp_path / MAILBOX / name(raw)).read_bytes() == raw
            assert (tmp_path / MAILBOX / name(raw)).stat().st_mode & 0o777 == 0o600
            assert (tmp_path / MAILBOX).stat().st_mode & 0o777 == 0o700
            assert (it.store.files.count, it.store.files.size) == (1, len(raw))
            assert b"secret" * 10 not in bytes_in(tmp_path)
        async with Opened(tmp_path) as it:
            assert [each.raw for each in await it.load()] == [raw, small]
            assert it.store.counts() == [(BOB, 2, len(raw) + len(small))]
            assert it.store.files.count == 1
            with closing(Inspection(tmp_path)) as inspection:
                assert inspection.message(1).document.data == b"secret" * LARGE
            it.store.forget(envelope(1, raw), Status.DELIVERED)
            await it.settled()
            assert it.names == []
            assert (it.store.files.count, it.store.files.size) == (0, 0)
            assert [each.raw for each in await it.load()] == [small]

    run(story())


def test_what_two_messages_say_is_one_file_until_both_are_gone(tmp_path):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            first, second = envelope(1, raw), envelope(2, raw)
            await it.keep(first, second)
            assert it.names == [name(raw)]
            it.store.forget(first, Status.DELIVERED)
            await it.settled()
            assert [each.raw for each in await it.load()] == [raw]
            it.store.hand_over(second, Status.USER_AWAY)
            await it.settled()
            assert it.names == []

    run(story())


def shared(count):
    document = pb.Document(filename="a", data=b"y" * LARGE)
    message = pb.ChatMessage(messageSnowflake=7, author=ANN.to_pb(), document=document)
    body = Body(message.SerializeToString(), number=5)
    made = []
    for number in range(1, count + 1):
        member, key = User(f"m{number}", "alpha"), number.to_bytes(16, "little")
        head = head_of(member, CREW, body)
        made.append(Copy(ANN, 7, member, key=key, origin="", group=CREW, head=head, body=body))
        made[-1].id = number
        made[-1].persist()
    return made


def test_copies_for_a_group_share_one_file(tmp_path):
    async def story():
        async with Opened(tmp_path) as it:
            made = shared(3)
            await it.keep(*made)
            data = made[0].body.data
            assert it.names == [name(data)]
            assert it.store.shared() == [(5, 3, len(data))]
        async with Opened(tmp_path) as it:
            found = await it.load()
            assert [each.raw for each in found] == [each.raw for each in made]
            assert len({id(each.body) for each in found}) == 1
            for each in made[:2]:
                it.store.forget(each, Status.DELIVERED)
            await it.settled()
            assert it.names == [name(data)]
            it.store.forget(made[2], Status.DELIVERED)
            await it.settled()
            assert it.names == []

    run(story())


def test_a_start_removes_what_no_record_refers_to_and_nothing_else(tmp_path, monkeypatch):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            await it.keep(envelope(1, raw))
        left = BodyFiles(tmp_path / MAILBOX)
        left.put(b"a file whose record never came")
        left.sync()
        (tmp_path / MAILBOX / f"{name(b'half')}.part").write_bytes(b"ha")
        handed = tmp_path / ARCHIVE / HANDED
        handed.mkdir(parents=True)
        (handed / name(b"x")).write_bytes(b"x")
        async with Opened(tmp_path) as it:
            await it.load()
            assert names(handed) == [name(b"x")], "who was to take it may still be there"
        monkeypatch.setattr("parley.services.chat.storage.store.TAKEN_WITHIN", 0.0)
        async with Opened(tmp_path) as it:
            assert [each.raw for each in await it.load()] == [raw]
            assert it.names == [name(raw)]
            assert names(handed) == []

    run(story())


@pytest.mark.parametrize("damage", ["torn", "shorter", "gone"])
def test_a_torn_file_is_never_served_and_is_counted(tmp_path, damage):
    raw, other = frame(1), frame(2)

    async def story():
        async with Opened(tmp_path) as it:
            await it.keep(envelope(1, raw), envelope(2, other))
        path = tmp_path / MAILBOX / name(raw)
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(b"\0" * len(raw) if damage == "torn" else raw[:-1])
        async with Opened(tmp_path) as it:
            assert [(each.id, each.content) for each in await it.load()] == [(1, b""), (2, other)]
            assert it.store.files.torn == (damage != "gone")

    run(story())


def test_a_message_with_another_text_leaves_no_file_of_the_one_before(tmp_path):
    raw, long, short = frame(1), frame(1, filling=b"z"), frame(1, size=10)

    async def story():
        async with Opened(tmp_path) as it:
            message = envelope(1, raw)
            await it.keep(message)
            for text in (long, short, raw):
                message.reworded(text)
                it.store.rewrite(message, None)
                await it.settled()
                assert it.names == ([name(text)] if len(text) >= LARGE else [])
                assert [each.raw for each in await it.load()] == [text]

    run(story())


def test_where_no_file_can_be_written_nothing_is_kept_and_nothing_is_left(tmp_path):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            (tmp_path / MAILBOX).write_bytes(b"in the way")
            it.store.keep(BOB, envelope(1, raw))
            await asyncio.wait_for(it.not_kept.get(), TIMEOUT)
            assert it.store.error
            (tmp_path / MAILBOX).unlink()
            await it.keep(envelope(2, raw))
            assert it.names == [name(raw)]
            assert [each.id for each in await it.load()] == [2]

    run(story())


def test_where_the_record_cannot_be_written_the_file_goes(tmp_path, monkeypatch):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            refused = []

            def refuse(*_):
                refused.append(names(tmp_path / MAILBOX))
                raise sqlite3.DatabaseError("no")

            with monkeypatch.context() as patch:
                patch.setattr(it.store, "_transact", refuse)
                it.store.keep(BOB, envelope(1, raw))
                await asyncio.wait_for(it.not_kept.get(), TIMEOUT)
            assert refused == [[name(raw)]]
            await it.settled()
            assert it.names == []

    run(story())


def test_a_file_is_safe_before_its_record_is_committed(tmp_path, monkeypatch):
    """Its bytes are synced, then its name, then the directory; only then comes the record."""
    raw, steps = frame(1), []
    fsync = os.fsync

    def synced(descriptor):
        fsync(descriptor)
        steps.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    async def story():
        async with Opened(tmp_path) as it:
            transact = it.store._transact

            def transacted(*arguments):
                steps.append(("record", ",".join(it.names)))
                transact(*arguments)

            monkeypatch.setattr(os, "fsync", synced)
            monkeypatch.setattr(it.store, "_transact", transacted)
            await it.keep(envelope(1, raw))

    run(story())
    steps = steps[: steps.index(("record", name(raw))) + 1]
    assert steps[-3:] == [("fsync", f"{name(raw)}.part"), ("fsync", MAILBOX), ("record", name(raw))]


def test_the_archive_is_given_another_name_of_the_same_file_and_keeps_it(tmp_path):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            message = envelope(1, raw)
            await it.keep(message)
            digest = await it.filed(message)
            assert digest == sha256(raw).digest()
            theirs = tmp_path / ARCHIVE / HANDED / name(raw)
            assert theirs.samefile(tmp_path / MAILBOX / name(raw))
            it.store.forget(message, Status.DELIVERED)
            await it.settled()
            assert it.names == []
            assert theirs.read_bytes() == raw

    run(story())


def test_a_message_that_the_archive_has_before_it_is_kept_is_one_file_all_the_same(tmp_path, monkeypatch):
    """Its author's list has it as soon as it is accepted, so the archive asks for it first. It is hashed once."""
    raw, hashed = frame(1), []

    def hashing(content):
        hashed.append(len(content))
        return sha256(content)

    async def story():
        async with Opened(tmp_path) as it:
            monkeypatch.setattr("parley.services.chat.storage.body_files.sha256", hashing)
            message, filed = envelope(1, raw), asyncio.get_running_loop().create_future()
            it.store.file((message.content, message.digest), filed.set_result)
            await it.keep(message)
            assert await asyncio.wait_for(filed, TIMEOUT) == sha256(raw).digest()
            theirs = tmp_path / ARCHIVE / HANDED / name(raw)
            assert theirs.samefile(tmp_path / MAILBOX / name(raw))
            assert hashed == [len(raw)]

    run(story())


@pytest.mark.parametrize("waits", [True, False])
def test_where_nothing_can_be_linked_the_archive_is_given_a_copy(tmp_path, monkeypatch, waits):
    raw = frame(1)

    def refuse(*_):
        raise OSError("no links here")

    async def story():
        async with Opened(tmp_path) as it:
            message = envelope(1, raw)
            if waits:
                await it.keep(message)
            monkeypatch.setattr(os, "link", refuse)
            assert await it.filed(message) == sha256(raw).digest()
            assert (tmp_path / ARCHIVE / HANDED / name(raw)).read_bytes() == raw

    run(story())


def test_a_message_that_waited_inside_an_older_file_is_there_until_it_goes(tmp_path):
    raw = frame(1)

    async def story():
        async with Opened(tmp_path) as it:
            await it.keep(envelope(1, b"small"))
        with closing(schema.open_file(tmp_path / "chat.db")) as db:
            db.execute("UPDATE message SET raw = ?, size = ?", (raw, len(raw)))
        async with Opened(tmp_path) as it:
            assert [each.raw for each in await it.load()] == [raw]
            it.store.forget(envelope(1, raw), Status.DELIVERED)
            await it.settled()
            assert await it.load() == []
            assert it.names == []

    run(story())
