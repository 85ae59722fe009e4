"""The archive's process, real and killed: what was handed over is in the file once, and who asks is answered."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from parley import ChatFeature, DiscoveryService
from parley.services.chat.archive import retention, storage
from parley.services.chat.archive.archive import (
    ASKED,
    BUSY_LOOP,
    LONGEST_REST,
    RESTS,
    Archive,
    ChangeFailed,
    Policy,
    rest_after,
)
from parley.services.chat.archive.changes import Prune
from parley.services.chat.archive.entries import MESSAGE, RECEIVED, entries, entry_bytes
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.archive.requests import OF_USER
from parley.shared.addresses import User
from parley.shared.config import ClientConfig, Config, DiscoveryConfig, LinkConfig
from parley.shared.runtime.supervised import Faults
from parley.shared.telemetry import logs
from parley.shared.trust.authors import content_digest
from parley.shared.wire.messages import encode, pb
from tests.support.attackers import dialled
from tests.support.kept_archive import ALICE, BOTH, message
from tests.support.kept_archive import BOB as LOCAL_BOB
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_until

ALPHA, CLIENT, EVES = "127.0.187.1", "127.0.187.50", "127.0.187.66"
CONFIG = Config(
    address=CLIENT,
    link=LinkConfig(backoff_max=0.5),
    discovery=DiscoveryConfig(discovery_timeout=1.0),
    client=ClientConfig(),
)
BOB = User("bob", "alpha")
KILLS, BETWEEN = 6, 100
"""How often the process is killed, and messages between two times."""

MESSAGE_BYTES = 150
"""Bytes of an entry, at least: with an author's proof it has 300."""


def children(pid):
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def child_of(pid):
    return wait_until(lambda: next(filter(is_there, children(pid)), 0))


def archive_of(pid):
    """The pid of the archive's process of a chat process."""
    return child_of(child_of(pid))


def is_there(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def texts_in(path):
    """How often each text stands in a record as delivered, and how often in a line; the file is whole."""
    db = storage.open_reader(path)
    with contextlib.closing(db):
        found = retention.verify(db)
        assert (found["broken_records"], found["lost_lines"]) == (0, 0)
        records = Counter(
            bytes(entry.data)
            for (body,) in db.execute("SELECT body FROM record")
            for entry in entries(body)
            if entry.kind == MESSAGE and entry.marks & RECEIVED  # on a busy machine it may have waited before
        )
        return list(records.values()), found["lines"]


def node(directory):
    settings = COUNTED | {"PARLEY_HISTORY__KEEP": "30", "PARLEY_SECURITY__USERS": "open"}
    return Node("alpha", ALPHA, directory, ("discovery", "chat"), settings=settings)


def connected_from(source, user_id, server_id):
    """A Parley client's connection, without a client."""
    sock = dialled(ALPHA, source)
    terms = pb.Terms(capabilities=1 << 63)
    sock.sendall(
        encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId=user_id, serverId=server_id), terms=terms))
    )
    assert sock.recv(4096).startswith(b"CONNECTED ")
    return sock


async def connected(name):
    feature = ChatFeature(name, CONFIG, on_message=lambda _message: None)
    await feature.handle_connection(await DiscoveryService(CONFIG).discover_servers())
    return feature


async def say(author, count):
    sent = [author.send(BOB, f"number {number} of {time.monotonic_ns()}") for number in range(count)]
    async with asyncio.timeout(TIMEOUT):
        for each in sent:
            assert await each.final == "DELIVERED"


def test_a_process_that_is_killed_under_load_loses_nothing_and_nothing_is_there_twice(tmp_path):
    async def story(pid):
        alice, bob = await connected("alice@alpha"), await connected("bob@alpha")
        async with alice, bob:
            for _ in range(KILLS):
                await say(alice, BETWEEN // 2)
                killed = await asyncio.to_thread(archive_of, pid)
                os.kill(killed, signal.SIGKILL)
                await asyncio.to_thread(wait_until, lambda: not is_there(killed))  # noqa: B023 - it is waited for
                await say(alice, BETWEEN // 2)
            for each in (archive_of(pid), child_of(pid)):
                os.kill(each, signal.SIGTERM)  # as a service manager does, to all at once
            await say(alice, BETWEEN)
            async with asyncio.timeout(TIMEOUT):
                while (await alice.history.lines(BOB, limit=1)).lines[0].sequence < (KILLS + 1) * BETWEEN:
                    pass  # the process is started again, later each time

    with node(tmp_path) as alpha:
        pid = alpha.pid("chat")
        assert os.getpriority(os.PRIO_PROCESS, archive_of(pid)) >= 10
        asyncio.run(story(pid))
        assert alpha.metrics("chat").value("parley_archive_restarts_total") == KILLS
        assert alpha.metrics("chat").value("parley_archive_entries_total", result="dropped") == 0
        assert len(alpha.logged("chat", "archive_process_ended")) == KILLS
    assert not is_there(pid)
    records, lines = texts_in(next(tmp_path.rglob("archive.db")))
    assert records == [1] * (KILLS + 1) * BETWEEN
    assert lines == 2 * (KILLS + 1) * BETWEEN


def test_what_a_killed_chat_handed_over_is_written_and_its_successor_waits_for_that(tmp_path):
    async def story():
        alice, bob = await connected("alice@alpha"), await connected("bob@alpha")
        async with alice, bob:
            await say(alice, BETWEEN)

    def backlog():
        return alpha.metrics("chat").value("parley_archive_backlog_bytes")

    with node(tmp_path) as alpha:
        asyncio.run(story())
        wait_until(lambda: alpha.metrics("chat").value("parley_archive_entries_total", result="written") >= BETWEEN)
        before = archive_of(alpha.pid("chat"))
        os.kill(before, signal.SIGSTOP)
        try:
            asyncio.run(story())
            wait_until(lambda: backlog() > BETWEEN * MESSAGE_BYTES)
            alpha.kill("chat")
            assert is_there(before)
            alpha.start("chat")
            alpha.wait_ready("chat")
            asyncio.run(story())
            wait_until(lambda: backlog() > BETWEEN * MESSAGE_BYTES)
        finally:
            os.kill(before, signal.SIGCONT)
        wait_until(lambda: not is_there(before))
        wait_until(lambda: not backlog())
    records, lines = texts_in(next(tmp_path.rglob("archive.db")))
    assert records == [1] * 3 * BETWEEN
    assert lines == 6 * BETWEEN


class Alone:
    """An archive without a chat process: an interpreter is started for its process."""

    def __init__(self, directory):
        self.forker = Forker()
        self.counted = []
        self.path = directory / storage.NAME
        faults = Faults(count=lambda: self.counted.append(1))
        policy = Policy(30.0, 1 << 30)
        self.archive = Archive(
            directory, "alpha", policy, forker=self.forker, age=lambda: 86400.0, log=logs.get(), faults=faults
        )
        self.number = 0

    def put(self, frame=b""):
        self.number += 1
        frame = frame or message(ALICE, LOCAL_BOB, f"number {self.number}", self.number)
        entry = entry_bytes(MESSAGE, BOTH, 1, 5.0, self.number.to_bytes(16, "little"), frame)
        assert self.archive.process.put(
            self.archive.process.handover.put_so_far + 1, [entry], 86400.0, 0.0, 0.0, time.monotonic()
        )

    @property
    def pid(self):
        return child_of(self.forker.pid)

    async def until(self, condition):
        async with asyncio.timeout(TIMEOUT):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.01)

    async def listed(self):
        handover = self.archive.process.handover
        self.archive.process.ask(handover.put_so_far)
        await self.until(lambda: handover.position.listed == self.number)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.archive.close()
        self.forker.close()


def test_a_question_that_fails_is_answered_and_the_fault_is_counted(tmp_path):
    async def story():
        async with Alone(tmp_path) as alone:
            answers = asyncio.Queue()
            assert alone.archive.ask(lambda _reader: [].pop(), answers.put_nowait)
            assert await asyncio.wait_for(answers.get(), TIMEOUT) is None
            assert alone.archive.ask(lambda reader: reader.conversations("alice", 1), answers.put_nowait)
            assert await asyncio.wait_for(answers.get(), TIMEOUT) == ([], False)
            assert alone.counted == [1]

    asyncio.run(story())


def test_questions_while_chat_is_busy_are_answered_with_rests_between(tmp_path):
    async def story():
        async with Alone(tmp_path) as alone:
            answers, rests = asyncio.Queue(), []
            alone.archive._load = lambda: 1.0
            alone.archive._closing = SimpleNamespace(wait=rests.append, set=lambda: None)

            def question(_reader):
                until = time.monotonic() + 0.02
                while time.monotonic() < until:
                    pass

            for _ in range(2):
                assert alone.archive.ask(question, answers.put_nowait)
                await asyncio.wait_for(answers.get(), TIMEOUT)
            return rests

    first, second = asyncio.run(story())
    assert first == 0.0
    assert 0.0 < second <= LONGEST_REST


def test_the_reader_rests_after_an_answer_while_chat_is_busy_and_not_for_long():
    assert rest_after(0.01, BUSY_LOOP) == 0.0
    assert rest_after(0.01, 1.0) == pytest.approx(RESTS * 0.01)
    assert rest_after(60.0, 1.0) == LONGEST_REST


def test_what_is_in_the_file_and_was_not_acknowledged_is_not_written_again(tmp_path):
    async def story():
        async with Alone(tmp_path) as alone:
            alone.put()
            await alone.listed()
            process = alone.archive.process
            asyncio.get_running_loop().remove_reader(process._socket)  # nothing is heard from here on
            alone.put()
            reader = storage.open_reader(alone.path)
            with contextlib.closing(reader):
                wait_until(lambda: reader.execute("SELECT COUNT(*) FROM record").fetchone() == (2,))
            assert not process.handover.is_empty
            process._lost()
            alone.put()
            await alone.listed()
        assert texts_in(alone.path) == ([1, 1, 1], 6)

    asyncio.run(story())


def test_where_what_starts_the_process_is_killed_another_is_started(tmp_path):
    async def story():
        pid = 0
        async with Alone(tmp_path) as alone:
            alone.put()
            await alone.listed()
            for _ in range(2):
                pid = alone.pid
                os.kill(alone.forker.pid, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
                alone.put()
                await alone.listed()
            assert await alone.archive.change(Prune(0.0)) == 0
        assert not is_there(pid)
        assert texts_in(alone.path) == ([1, 1, 1], 6)

    asyncio.run(story())


def test_a_file_that_cannot_be_used_is_tried_again_and_what_came_meanwhile_is_in_it(tmp_path):
    def set_format(number):
        db = sqlite3.connect(tmp_path / storage.NAME, isolation_level=None)
        with contextlib.closing(db):
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (number,))

    async def story():
        async with Alone(tmp_path) as alone:
            alone.put()
            await alone.listed()
            process = alone.archive.process
            assert not process.is_down
            set_format(99)
            os.kill(alone.pid, signal.SIGKILL)
            alone.put()
            await alone.until(lambda: process.restarts > 2)
            assert process.is_down
            set_format(storage.FORMAT)
            await alone.listed()
            assert not process.is_down
        assert texts_in(alone.path) == ([1, 1], 4)

    asyncio.run(story())


@pytest.mark.parametrize("deletes", [False, True])
def test_an_edit_that_came_first_waits_for_its_message_over_the_end_of_the_process(tmp_path, deletes):
    edit = pb.ChatMessage(messageSnowflake=1, author=ALICE.to_pb(), user=LOCAL_BOB.to_pb())
    digest = content_digest(pb.ChatMessage(textContent="number 2"))
    edit.edit.CopyFrom(
        pb.Edit(target=2, content=digest, revision=1, deletes=deletes, text="" if deletes else "new")
    )

    async def story():
        async with Alone(tmp_path) as alone:
            alone.put(encode("MESSAGE", edit))
            await alone.listed()
            os.kill(alone.pid, signal.SIGKILL)
            alone.put()
            await alone.listed()
            assert alone.archive.process.handover.edits_without_effect.get("no_such_message", 0) == 0
            answers = asyncio.Queue()
            for one, other in ((ALICE, LOCAL_BOB), (LOCAL_BOB, ALICE)):
                each = conversation(one.user_id, other)
                assert alone.archive.ask(lambda reader: reader.history(each).lines, answers.put_nowait)  # noqa: B023
                [line] = await asyncio.wait_for(answers.get(), TIMEOUT)
                assert pb.ChatMessage.FromString(line.edit) == edit
                assert (line.message == b"") is deletes

    asyncio.run(story())


def test_a_change_that_the_process_dies_over_fails_and_the_next_one_is_made(tmp_path):
    async def story():
        async with Alone(tmp_path) as alone:
            alone.put()
            await alone.listed()
            pid = alone.pid
            os.kill(pid, signal.SIGSTOP)
            change = asyncio.ensure_future(alone.archive.change(Prune(0.0)))
            await asyncio.sleep(0)  # it is handed over
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ChangeFailed, match="ended"):
                await change
            assert await alone.archive.change(Prune(0.0)) == 0

    asyncio.run(story())


def test_many_users_of_one_address_leave_places_for_questions_to_others(tmp_path):
    async def story():
        alice, bob = await connected("alice@alpha"), await connected("bob@alpha")
        async with alice, bob:
            await say(alice, 1)
            eves = [connected_from(EVES, f"eve{number}", "alpha") for number in range(ASKED // OF_USER)]
            before = archive_of(alpha.pid("chat"))
            os.kill(before, signal.SIGSTOP)  # so that questions wait
            try:
                await say(alice, 1)
                ask = encode("HISTORY", pb.QueryHistory(user=pb.User(userId="bob", serverId="alpha")))
                for eve in eves:
                    await asyncio.to_thread(eve.sendall, ask * OF_USER + b"PING 0 \n")
                    await asyncio.to_thread(answers, eve, b"PONG 0 \n")
                async with asyncio.timeout(TIMEOUT):
                    asked = [asyncio.ensure_future(alice.history.lines(BOB)) for _ in range(OF_USER)]
                    await asyncio.gather(*asked)  # RequestFailed: there was no place
            finally:
                os.kill(before, signal.SIGCONT)
            for eve in eves:
                eve.close()

    def answers(sock, end):
        data = b""
        while end not in data:
            data += sock.recv(65536)

    with node(tmp_path) as alpha:
        asyncio.run(story())
        limited = alpha.metrics("chat").value("parley_limited_total", what="requests", where="archive")
        assert limited == OF_USER


def test_a_whole_node_that_is_killed_has_all_that_was_told_as_delivered(tmp_path):
    """Chat, and whoever would have written what chat handed over, are killed within the 50 ms that chat gathers."""

    async def story(pids):
        alice, bob = await connected("alice@alpha"), await connected("bob@alpha")
        async with alice, bob:
            await say(alice, BETWEEN)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    async def listed():
        async with await connected("alice@alpha") as alice, asyncio.timeout(TIMEOUT):
            while (await alice.history.lines(BOB, limit=1)).lines[0].sequence < KILLS * BETWEEN:
                pass  # it takes the messages before

    with node(tmp_path) as alpha:
        for _ in range(KILLS):
            chat = alpha.pid("chat")
            forker, process = child_of(chat), archive_of(chat)
            asyncio.run(story([process, forker, chat]))
            alpha.kill("chat")
            alpha.start("chat")
            alpha.wait_ready("chat")
        asyncio.run(listed())
        assert alpha.logged("chat", "archive_journal_replayed")
    records, lines = texts_in(next(tmp_path.rglob("archive.db")))
    assert records == [1] * KILLS * BETWEEN
    assert lines == 2 * KILLS * BETWEEN
    assert not list(tmp_path.rglob("archive.journal/*"))
