"""Large messages of the archive are files: each once, as long as a record refers to it, in lists as any other."""

import os
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from parley.services.chat.archive import files, retention, storage
from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import FILED, MESSAGE, RECEIVED, SENT, entries, entry_bytes
from parley.services.chat.archive.filed import About
from parley.services.chat.archive.lists import conversation
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage.bodies import LARGE, Body, Copy, head_of
from parley.services.chat.storage.body_files import ARCHIVE, HANDED, MAILBOX, BodyFiles
from parley.shared.addresses import User
from parley.shared.trust.authors import content_digest
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.kept_archive import ALICE, BEA, BOB, BOTH, CREW, Kept, message

LONG = "a long letter " + "word " * (LARGE // 5)


class Filing(Kept):
    """An archive that is told of large messages as chat does: by a file first, and then by an entry."""

    def __init__(self, directory):
        self.directory = directory
        self.mailbox = BodyFiles(directory / MAILBOX)
        super().__init__(directory)

    @property
    def handed(self):
        return self.directory / ARCHIVE / HANDED

    @property
    def names(self):
        found = self.directory / ARCHIVE
        return sorted(each.name for each in found.iterdir() if each.is_file()) if found.exists() else []

    def filed(self, envelope, marks=BOTH, status=Status.DELIVERED):
        digest = self.mailbox.hand(envelope.content, b"", self.handed)
        return entry_bytes(
            FILED, marks, status, 5.0, envelope.key, About.of(envelope, len(envelope.content)).data(digest)
        )

    def letter(self, text, author=ALICE, to=BOB):
        self.snowflake += 1
        raw = message(author, to, text, self.snowflake)
        return Envelope(author, self.snowflake, to, raw, self.snowflake.to_bytes(16, "little"))


@pytest.fixture
def kept(tmp_path):
    kept = Filing(tmp_path)
    yield kept
    kept.db.close()


def name(envelope):
    return sha256(envelope.content).hexdigest()


def is_whole(kept):
    found = retention.verify(kept.db)
    return not (found["broken_records"] or found["lost_lines"] or found["lost_files"])


def test_a_large_message_is_in_lists_and_found_as_any_other_and_its_bytes_are_a_file(kept):
    one = kept.letter(LONG)
    kept.write(kept.entry(ALICE, BOB, "before"), kept.filed(one), kept.entry(BOB, ALICE, "behind"))
    kept.project()
    for who, other in (("alice", BOB), ("bob", ALICE)):
        assert kept.texts(who, other) == ["behind", LONG, "before"]
    assert kept.found("bob", "letter") == [LONG]
    assert kept.names == [name(one)]
    assert not list(kept.handed.iterdir())
    assert b"word " * 64 not in kept.bytes_on_disk()
    assert len(kept.reader().sync("alice", b"").lines) == 3
    assert kept.reader().figures()["body_files_bytes"] == len(one.raw)
    assert storage.used_bytes(kept.db) > len(one.raw)
    assert is_whole(kept)


def test_what_waited_and_is_delivered_has_one_file_and_one_line(kept):
    one = kept.letter(LONG)
    kept.write(kept.filed(one, SENT, Status.USER_AWAY))
    kept.project()
    kept.write(kept.filed(one))
    kept.project()
    assert kept.names == [name(one)]
    assert storage.figures_of_files(kept.db) == (1, len(one.raw))
    lines = kept.reader().history(conversation("alice", BOB)).lines
    assert [line.status for line in lines] == [Status.DELIVERED]
    assert kept.texts("bob", ALICE) == [LONG]


def test_a_copy_of_a_group_message_is_put_together_from_its_head_and_the_shared_file(kept):
    body = Body(pb.ChatMessage(messageSnowflake=9, author=ALICE.to_pb(), textContent=LONG).SerializeToString())
    copies = [
        Copy(ALICE, 9, member, key=b"k" * 16, origin="", group=CREW, head=head_of(member, CREW, body), body=body)
        for member in (BOB, User("eve", "alpha"))
    ]
    for each in copies:
        kept.write(kept.filed(each, BOTH if each is copies[0] else RECEIVED))
    kept.project()
    assert kept.names == [sha256(body.data).hexdigest()]
    for who in ("alice", "bob", "eve"):
        assert kept.texts(who, CREW) == [LONG]
        lines = kept.reader().history(conversation(who, CREW)).lines
        assert pb.ChatMessage.FromString(lines[0].message).userOfGroup.group == CREW.to_pb()


def test_who_has_what_is_known_after_a_start_without_a_look_at_the_files(kept):
    one = kept.letter(LONG)
    kept.write(kept.filed(one))
    kept.project()
    kept.db.close()
    Path(kept.directory / ARCHIVE / name(one)).rename(kept.directory / "away")
    kept.open()
    kept.write(kept.filed(one))
    kept.project()
    assert len(kept.reader().history(conversation("bob", ALICE)).lines) == 1


def test_days_that_are_over_take_their_files_and_none_that_a_later_record_refers_to(kept):
    old, both = kept.letter(LONG), kept.letter(LONG + "both")
    kept.write(kept.filed(old), kept.filed(both, SENT, Status.USER_AWAY))
    kept.project()
    kept.day = 2
    kept.write(kept.filed(both))
    kept.project()
    assert kept.names == sorted([name(old), name(both)])
    assert retention.remove_before(kept.db, 2) == 1
    kept.projection.forget()
    assert kept.names == [name(both)]
    assert kept.texts("bob", ALICE) == [LONG + "both"]
    assert is_whole(kept)
    kept.day = 3
    kept.say("new")
    assert retention.shrink(kept.db, 2 * LARGE) == 1
    assert kept.names == []


def test_what_was_erased_or_deleted_has_no_file(kept):
    mine, theirs, deleted = kept.letter(LONG, to=BEA), kept.letter(LONG + "2"), kept.letter(LONG + "3")
    kept.write(kept.filed(mine, SENT), kept.filed(theirs), kept.filed(deleted))
    kept.project()
    edit = pb.ChatMessage(messageSnowflake=77, author=ALICE.to_pb(), user=BOB.to_pb())
    edit.edit.target, edit.edit.revision, edit.edit.deletes = deleted.snowflake, 1, True
    edit.edit.content = content_digest(decode(read_datagram(deleted.raw), pb.ChatMessage))
    kept.write(entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 6.0, b"e" * 16, encode("MESSAGE", edit)))
    kept.project()
    assert retention.blank_due(kept.db) == 1
    assert kept.names == sorted([name(mine), name(theirs)])
    retention.erase(kept.db, "alice", "alpha")
    kept.projection.forget()
    assert kept.names == [name(theirs)]
    assert kept.texts("bob", ALICE) == ["", LONG + "2"]
    assert is_whole(kept)


def test_a_record_that_never_came_leaves_its_file_for_the_next_try(kept, monkeypatch):
    """The process dies between file and record: the next one sweeps, and is given the same chunk again."""
    one = kept.letter(LONG)
    entry = kept.filed(one)

    def die(*_, **__):
        raise sqlite3.OperationalError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "transaction", die)
        with pytest.raises(sqlite3.OperationalError):
            kept.write(entry)
    assert kept.names == [name(one)]
    kept.db.close()
    kept.open()
    files.sweep(kept.db)
    assert kept.names == []
    kept.write(entry)
    kept.project()
    assert kept.texts("bob", ALICE) == [LONG]
    assert not list(kept.handed.iterdir())


def test_where_nothing_can_be_linked_the_archive_has_a_copy(kept, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    one = kept.letter(LONG)
    kept.write(kept.filed(one))
    kept.project()
    assert kept.texts("bob", ALICE) == [LONG]
    assert kept.names == [name(one)]
    assert not list(kept.handed.iterdir())


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_a_torn_file_reads_as_gone_and_verify_says_so(kept, damage):
    one = kept.letter(LONG)
    kept.write(kept.filed(one), kept.entry(ALICE, BOB, "there"))
    kept.project()
    path = kept.directory / ARCHIVE / name(one)
    path.unlink() if damage == "gone" else path.write_bytes(b"\0" * len(one.raw))
    assert kept.texts("bob", ALICE) == ["there", ""]
    with closing(storage.open_reader(kept.path)) as db:
        assert retention.verify(db)["lost_files"] == 1


def test_a_start_removes_files_without_a_record_and_no_others(kept):
    one = kept.letter(LONG)
    kept.write(kept.filed(one))
    left = BodyFiles(kept.directory / ARCHIVE)
    left.put(b"its record never came")
    left.sync()
    files.sweep(kept.db)
    assert kept.names == [name(one)]


def test_the_name_of_a_file_is_safe_before_the_record_that_refers_to_it(kept, monkeypatch):
    one, steps = kept.letter(LONG), []
    entry, fsync = kept.filed(one), os.fsync

    def synced(descriptor):
        fsync(descriptor)
        steps.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, kept.names))

    monkeypatch.setattr(os, "fsync", synced)
    kept.db.set_trace_callback(lambda statement: steps.append((statement.partition(" ")[0], None)))
    kept.write(entry)
    assert steps.index((ARCHIVE, [name(one)])) < steps.index(("BEGIN", None))


def test_an_archive_of_before_has_its_messages_and_takes_files(tmp_path):
    kept = Filing(tmp_path)
    kept.say("old", LONG)
    kept.db.executescript("DROP TABLE filed")
    kept.db.close()
    with closing(storage.open_reader(kept.path)) as db:
        assert storage.figures_of_files(db) == (0, 0)
    kept.open()
    one = kept.letter(LONG + "2")
    kept.write(kept.filed(one))
    kept.project()
    assert kept.texts("bob", ALICE) == [LONG + "2", LONG, "old"]
    kept.db.close()


# Collecting -------------------------------------------------------------------------------------


def collector():
    made, begun, asked = None, [], []
    made = Collector("alpha", lambda: begun.append(True))
    made.write_file = lambda file, then: asked.append((file, then))
    return made, asked


def kinds(chunk):
    return [entry.kind for entry in entries(chunk)]


def test_entries_wait_behind_a_large_one_until_its_file_is_there(kept):
    it, asked = collector()
    before, large, behind = kept.letter("before"), kept.letter(LONG), kept.letter("behind")
    for each in (before, large, behind):
        it.note(each, Status.DELIVERED)
    assert kinds(b"".join(it.take().entries)) == [MESSAGE]
    assert b"".join(it.take().entries) == b""
    asked[0][1](b"d" * 32)
    chunk = b"".join(it.take().entries)
    assert kinds(chunk) == [FILED, MESSAGE]
    assert LONG.encode() not in chunk
    assert b"".join(it.take().entries) == b""


@pytest.mark.parametrize("how", ["refused", "ended"])
def test_where_there_is_no_file_the_entry_has_the_bytes(kept, how):
    it, asked = collector()
    large = kept.letter(LONG)
    it.note(large, Status.DELIVERED)
    if how == "refused":
        asked[0][1](None)
    else:
        it.end()
        asked[0][1](b"d" * 32)
    chunk = b"".join(it.take().entries)
    assert [(entry.kind, entry.data) for entry in entries(chunk)] == [(MESSAGE, large.raw)]
    assert b"".join(it.take().entries) == b""


def test_while_no_file_comes_what_waits_is_bounded_and_the_rest_counted(kept, monkeypatch):
    monkeypatch.setattr("parley.services.chat.archive.collector.MOST", 2 * LARGE)
    it, asked = collector()
    it.note(kept.letter(LONG), Status.DELIVERED)
    for _ in range(20):
        it.note(kept.letter("x" * (LARGE // 8)), Status.DELIVERED)
    assert it.dropped > 10
    asked[0][1](b"d" * 32)
    assert len(kinds(b"".join(it.take().entries))) == 21 - it.dropped
    it.note(kept.letter("again"), Status.DELIVERED)
    assert kinds(b"".join(it.take().entries)) == [MESSAGE]
