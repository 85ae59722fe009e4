"""The archive: entries, lists and words from them, days that end, and what is erased; on real files."""

import contextlib
import random
import time

import pytest
from google.protobuf.message import DecodeError

from parley.services.chat.archive import plain, projection, retention, storage, unnumbered
from parley.services.chat.archive.collector import Collector, key_of, numbered
from parley.services.chat.archive.edits import Edits
from parley.services.chat.archive.entries import (
    AGAIN,
    COPY,
    HEAD,
    MESSAGE,
    NO_STATUS,
    READ,
    RECEIVED,
    SENT,
    STATUS,
    blanked,
    divided,
    entries,
    entry_at,
    entry_bytes,
)
from parley.services.chat.archive.interface import WithoutEffect
from parley.services.chat.archive.lists import Conversation, conversation, message_of
from parley.services.chat.archive.texts import query_of
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.mailbox_edits import revised
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.errors import ConfigError, StorageError
from parley.shared.trust.authors import DeviceKeys, content_digest
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import encode_frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.kept_archive import (
    ALICE,
    BEA,
    BOB,
    BOTH,
    CREW,
    EVE,
    Kept,
    edit_entry,
    edited,
    message,
    signed_entry,
    with_marks,
)


@pytest.fixture
def kept(tmp_path):
    kept = Kept(tmp_path)
    yield kept
    kept.db.close()


# Entries --------------------------------------------------------------------------------------


def test_entries_are_read_as_they_were_written():
    parts = [entry_bytes(MESSAGE, BOTH, 1, 2.5, bytes(range(16)), b"x" * size) for size in (0, 1, 300)]
    found = list(entries(b"".join(parts)))
    assert [(e.kind, e.marks, e.status, e.when, len(e.data)) for e in found] == [
        (MESSAGE, BOTH, 1, 2.5, size) for size in (0, 1, 300)
    ]
    assert found[2].offset == len(parts[0]) + len(parts[1])


def test_whatever_the_bytes_are_reading_them_ends_or_says_that_they_are_cut_off():
    chance = random.Random(7)
    whole = b"".join(entry_bytes(MESSAGE, BOTH, 1, 2.5, bytes(16), b"x" * 40) for _ in range(5))
    for _ in range(2000):
        bad = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(4)):
            if bad:
                bad[chance.randrange(len(bad))] = chance.randrange(256)
        with contextlib.suppress(StorageError):
            found = list(entries(bytes(bad)))
            assert sum(HEAD.size + len(e.data) for e in found) == len(bad)
            assert all(HEAD.unpack_from(bad, e.offset)[0] == len(e.data) for e in found)
        entry_at(bytes(bad), chance.randrange(300))


def test_a_chunk_is_divided_between_entries_and_none_is_lost():
    chance = random.Random(3)
    parts = [entry_bytes(MESSAGE, 1, 1, 0.0, bytes(16), b"y" * chance.randrange(3000)) for _ in range(300)]
    parts[100] = entry_bytes(MESSAGE, 1, 1, 0.0, bytes(16), b"z" * 100_000)
    records = divided(b"".join(parts), storage.RECORD)
    assert b"".join(records) == b"".join(parts)
    assert all(len(r) <= storage.RECORD or len(list(entries(r))) == 1 for r in records)
    assert all(e.offset < 1 << storage.OFFSET_BITS for r in records for e in entries(r))


def test_a_blanked_message_leaves_the_others_where_they_were():
    parts = [entry_bytes(MESSAGE, 1, 1, 0.0, bytes(16), text) for text in (b"first", b"second", b"third")]
    chunk = b"".join(parts)
    after = blanked(chunk, {len(parts[0]): ()})
    assert len(after) == len(chunk)
    assert b"second" not in after
    assert [e.data for e in entries(after)] == [b"first", bytes(6), b"third"]


# A group's order ----------------------------------------------------------------------------------


def in_group(kept, number, text, author=BEA, member=BOB):
    """A member's copy with the number that the group's server gave it; 0: it gave none."""
    kept.snowflake += 1
    payload = decode(read_datagram(message(author, CREW, text, kept.snowflake)), pb.ChatMessage)
    payload.userOfGroup.CopyFrom(pb.UserOfGroup(user=member.to_pb(), group=CREW.to_pb()))
    payload.groupNumber = number
    key = kept.snowflake.to_bytes(16, "little")
    return entry_bytes(MESSAGE, RECEIVED, NO_STATUS, 5.0, key, encode("MESSAGE", payload))


def say_in_group(kept, *numbers, apart):
    parts = [in_group(kept, number, text) for text, number in numbers]
    for some in [[each] for each in parts] if apart else [parts]:
        kept.write(*some)
        kept.project()


@pytest.mark.parametrize("apart", [False, True])
def test_lines_of_a_group_stand_where_its_server_put_them_whenever_they_came(kept, apart):
    say_in_group(kept, ("b", 20), ("d", 40), ("a", 10), ("c", 30), apart=apart)
    assert kept.texts("bob", CREW, after=0) == ["a", "b", "c", "d"]
    lines = kept.reader().history(conversation("bob", CREW)).lines
    assert [line.sequence for line in lines] == [2, 4, 1, 3]
    for line, (earlier, later) in zip(lines, [("cba", ""), ("ba", "d"), ("a", "cd"), ("", "bcd")], strict=True):
        assert "".join(kept.texts("bob", CREW, before=line.sequence)) == earlier
        assert "".join(kept.texts("bob", CREW, after=line.sequence)) == later
    (summary,), _more = kept.reader().conversations("bob", 5)
    assert message_of(encode_frame("MESSAGE", summary.last.message)).textContent == "d"
    assert summary.unread == 4


def test_a_line_without_a_number_stands_behind_what_came_before_it(kept):
    say_in_group(kept, ("a", 10), ("c", 30), ("d", 0), ("b", 20), ("e", 50), ("f", 0), apart=True)
    assert kept.texts("bob", CREW, after=0) == ["a", "b", "c", "d", "e", "f"]


def test_members_with_other_ways_of_arrival_have_one_order_and_so_has_the_author(kept):
    raw = message(ALICE, CREW, "mine", 99)
    kept.write(in_group(kept, 30, "three"), in_group(kept, 10, "one"))
    kept.write(entry_bytes(MESSAGE, SENT, NO_STATUS, 6.0, b"m" * 16, numbered(raw, 20)))
    kept.write(in_group(kept, 30, "three", member=ALICE), in_group(kept, 10, "one", member=ALICE))
    kept.project()
    assert kept.texts("alice", CREW, after=0) == ["one", "mine", "three"]
    assert kept.texts("bob", CREW, after=0) == ["one", "three"]


def test_an_archive_from_before_lines_were_numbered_tells_them_as_they_came(kept):
    kept.say("one", "two", author=ALICE, to=CREW, marks=SENT)
    kept.db.executescript("DROP TABLE numbered")
    kept.db.close()
    kept.open()
    assert kept.texts("alice", CREW, after=0) == ["one", "two"]
    say = in_group(kept, 5, "three", member=ALICE)
    kept.write(say)
    kept.project()
    assert kept.texts("alice", CREW, after=0) == ["one", "two", "three"]


def test_lines_of_a_group_that_are_removed_leave_no_place(kept):
    say_in_group(kept, ("a", 10), ("b", 20), apart=True)
    kept.day += 1
    say_in_group(kept, ("c", 30), apart=True)
    retention.remove_before(kept.db, kept.day)
    assert kept.texts("bob", CREW, after=0) == ["c"]
    assert kept.db.execute("SELECT count(*) FROM numbered").fetchone()[0] == 1
    retention.erase(kept.db, "bob", "alpha")
    assert kept.db.execute("SELECT count(*) FROM numbered").fetchone()[0] == 0


# Collecting -------------------------------------------------------------------------------------


def collected(collector):
    return [(e.kind, e.marks, e.status, e.data) for e in entries(b"".join(collector.take().entries))]


def test_what_waits_and_is_delivered_then_is_its_authors_once_and_its_recipients_once():
    collector = Collector("alpha", lambda: None)
    raw = message(ALICE, BOB, "hello")
    envelope = Envelope(ALICE, 1, BOB, raw, bytes(16))
    collector.note(envelope, Status.USER_AWAY)
    envelope.reported(Status.USER_AWAY)
    collector.note(envelope, Status.DELIVERED)
    assert collected(collector) == [
        (MESSAGE, SENT, Status.USER_AWAY, raw),
        (MESSAGE, BOTH, Status.DELIVERED, raw),
    ]


@pytest.mark.parametrize("how", [Envelope.held_elsewhere, Envelope.repeated])
def test_what_is_given_up_after_a_restart_has_that_status_in_its_authors_list(how):
    collector = Collector("alpha", lambda: None)
    envelope = Envelope(ALICE, 1, BEA, message(ALICE, BEA, "hello"), bytes(16))
    how(envelope)
    collector.note(envelope, Status.OTHER_ERROR)
    assert [each[:3] for each in collected(collector)] == [(STATUS, SENT, Status.OTHER_ERROR)]


def test_what_is_about_to_be_kept_has_its_place_before_what_comes_later_and_its_status_when_there_is_one(kept):
    collector = Collector("alpha", lambda: None)
    first, second = (Envelope(ALICE, n, BEA, message(ALICE, BEA, f"number {n}"), bytes([n] * 16)) for n in (1, 2))
    for each in (first, second, first):
        collector.accepted(each, has_status=False)
    collector.note(second, Status.DELIVERED)
    kept.write(b"".join(collector.take().entries))
    kept.project()
    assert kept.texts("alice", BEA) == ["number 2", "number 1"]
    collector.note(first, Status.OTHER_ERROR)
    kept.write(b"".join(collector.take().entries))
    kept.project()
    lines = kept.reader().history(conversation("alice", BEA), limit=9).lines
    assert [line.status for line in lines] == [Status.DELIVERED, Status.OTHER_ERROR]


def test_what_another_process_takes_in_once_more_keeps_the_status_that_it_had(kept):
    collectors = [Collector("alpha", lambda: None) for _ in range(2)]

    def told(collector, *statuses):
        envelope = Envelope(ALICE, 1, BEA, message(ALICE, BEA, "once"), bytes(16))
        collector.accepted(envelope, has_status=False)
        for status in statuses:
            collector.note(envelope, status)
        kept.write(b"".join(collector.take().entries))
        kept.project()
        (line,) = kept.reader().history(conversation("alice", BEA), limit=9).lines
        return line.status

    assert told(collectors[0], Status.USER_AWAY) == Status.USER_AWAY
    kept.again()
    assert told(collectors[1]) == Status.USER_AWAY
    assert told(collectors[1], Status.DELIVERED) == Status.DELIVERED


def test_an_edit_that_is_kept_and_then_refused_changes_no_list():
    collector = Collector("alpha", lambda: None)
    edit = pb.ChatMessage(messageSnowflake=2, author=ALICE.to_pb(), user=BOB.to_pb())
    edit.edit.target, edit.edit.text = 1, "otherwise"
    envelope = Envelope(ALICE, 2, BOB, encode("MESSAGE", edit), bytes(16))
    collector.accepted(envelope, has_status=False)
    collector.note(envelope, Status.OTHER_ERROR)
    assert collected(collector) == []
    collector.note(envelope, Status.USER_AWAY)
    assert [(kind, marks, status) for kind, marks, status, _data in collected(collector)] == [
        (MESSAGE, SENT, Status.USER_AWAY)
    ]


def test_a_refused_message_a_place_and_what_is_for_others_alone_are_not_kept():
    collector = Collector("alpha", lambda: None)
    collector.note(Envelope(ALICE, 1, BOB, message(ALICE, BOB, "hello"), bytes(16)), Status.USER_NOT_FOUND)
    collector.note(Envelope(ALICE, 1, BOB, message(ALICE, BOB, "hello"), bytes(16)), Status.USER_BLOCKED)
    place = pb.ChatMessage(messageSnowflake=2, author=ALICE.to_pb(), user=BOB.to_pb())
    place.live_location.location.latitude = 1.0
    collector.note(Envelope(ALICE, 2, BOB, encode("MESSAGE", place), bytes(16)), Status.DELIVERED)
    collector.note(Envelope(BEA, 3, BOB, message(BEA, BOB, "waits"), bytes(16), origin="beta"), Status.USER_AWAY)
    assert collected(collector) == []


def test_a_text_with_the_bytes_of_a_places_tag_is_kept():
    collector = Collector("alpha", lambda: None)
    payload = pb.ChatMessage(messageSnowflake=0x32 | 0x01 << 7, author=ALICE.to_pb(), user=BOB.to_pb())
    raw = encode("MESSAGE", payload)
    assert b"\xb2\x01" in raw
    collector.note(Envelope(ALICE, 1, BOB, raw, bytes(16)), Status.DELIVERED)
    assert len(collected(collector)) == 1


def test_a_message_to_a_group_stands_once_in_a_chunk_and_its_author_has_it_once():
    collector = Collector("alpha", lambda: None)
    raw = message(ALICE, CREW, "all")
    for member in (BOB, EVE):
        copy = Envelope(ALICE, 1, member, raw, member[0].encode().ljust(16), group=CREW)
        collector.note(copy, Status.DELIVERED)
    chunk = b"".join(collector.take().entries)
    assert chunk.count(raw) == 1
    assert [(e.kind, e.marks, e.data) for e in entries(chunk)][1][2] == b"eve"
    copy = Envelope(ALICE, 1, User("dan", "alpha"), raw, bytes(16), group=CREW)
    collector.note(copy, Status.DELIVERED)
    assert [(kind, marks) for kind, marks, _status, _data in collected(collector)] == [(MESSAGE, RECEIVED)]
    assert key_of(ALICE, 1, CREW) != key_of(ALICE, 1, Group("crew", "beta"))


def test_a_message_to_another_servers_group_is_its_authors_though_somebody_here_had_their_copy_first():
    collector, far = Collector("alpha", lambda: None), Group("crew", "beta")
    copy = Envelope(ALICE, 1, BOB, message(ALICE, far, "all"), bytes(16), origin="beta", group=far)
    collector.note(copy, Status.DELIVERED)
    collector.note(Envelope(ALICE, 1, far, message(ALICE, far, "all"), bytes(16)), Status.USER_AWAY)
    collector.note(copy, Status.DELIVERED)
    assert [(kind, marks) for kind, marks, _status, _data in collected(collector)] == [
        (MESSAGE, RECEIVED),
        (MESSAGE, SENT),
        (COPY, RECEIVED),
    ]


def copy_of(text, *, group=CREW, member=BOB, off=True, snowflake=1):
    """A member's copy, whose group's server says that it is not to be kept."""
    payload = pb.ChatMessage(messageSnowflake=snowflake, author=ALICE.to_pb(), textContent=text, historyOff=off)
    payload.userOfGroup.user.CopyFrom(member.to_pb())
    payload.userOfGroup.group.CopyFrom(group.to_pb())
    origin = "" if group.server_id == "alpha" else group.server_id
    return Envelope(ALICE, snowflake, member, encode("MESSAGE", payload), bytes(16), origin=origin, group=group)


@pytest.mark.parametrize("group", [CREW, Group("crew", "beta")])
def test_of_a_copy_that_is_not_to_be_kept_there_is_nothing(group):
    collector = Collector("alpha", lambda: None)
    for status in (Status.USER_AWAY, Status.DELIVERED):
        collector.note(copy_of("secret", group=group), status)
    assert collected(collector) == []
    collector.note(copy_of("kept", group=group, off=False, snowflake=2), Status.DELIVERED)
    assert len(collected(collector)) == 1


def test_the_mark_counts_in_a_copy_alone_and_where_it_is_one():
    """An author cannot have a message to a user left out, nor a text that has the mark's bytes."""
    collector = Collector("alpha", lambda: None)
    payload = pb.ChatMessage(messageSnowflake=1, author=ALICE.to_pb(), user=BOB.to_pb(), historyOff=True)
    collector.note(Envelope(ALICE, 1, BOB, encode("MESSAGE", payload), bytes(16)), Status.DELIVERED)
    mark = pb.ChatMessage(historyOff=True).SerializeToString()
    text = copy_of("\u0080\n\x01", off=False)
    assert mark in text.raw
    collector.note(text, Status.DELIVERED)
    assert len(collected(collector)) == 2


def test_a_message_to_another_servers_group_is_its_authors_once_that_server_has_said_whether_it_is_kept():
    collector = Collector("alpha", lambda: None)
    far = Group("crew", "beta")
    waits, left = (Envelope(ALICE, n, far, message(ALICE, far, f"{n}"), bytes(16)) for n in (1, 2))
    for each in (waits, left):
        collector.note(each, Status.OTHER_SERVER_TIMEOUT)
    assert collected(collector) == []
    collector.leave_out(ALICE, 2, far)
    for each in (waits, left):
        collector.note(each, Status.USER_AWAY)
        collector.note(each, Status.DELIVERED)
    assert [(kind, marks) for kind, marks, _status, _data in collected(collector)] == [(MESSAGE, SENT)]


def test_the_first_entry_is_told_and_then_much():
    told = []
    collector = Collector("alpha", lambda: told.append(True))
    for number in range(5):
        collector.note(Envelope(ALICE, number, BOB, message(ALICE, BOB, "x" * 60_000), bytes(16)), Status.DELIVERED)
    assert len(told) == 2


# Reading without protobuf -----------------------------------------------------------------------

READERS = pytest.mark.parametrize(
    "read", [plain.read_entries_pure, plain.read_entries], ids=["python", "as it is used"]
)


def frames_of_all_shapes(chance):
    """Frames of messages: plain ones, and such as have a proof, a group, a document, long names or no text."""
    for number in range(300):
        to = chance.choice([BOB, BEA, CREW, User("b" * 200, "alpha"), User("", "")])
        text = "é語x "[chance.randrange(4)] * chance.choice([0, 1, 100, 127, 128, 300, 20_000])
        payload = pb.ChatMessage(
            messageSnowflake=chance.getrandbits(63) >> chance.randrange(63), author=ALICE.to_pb()
        )
        if isinstance(to, Group):
            payload.group.CopyFrom(to.to_pb())
        else:
            payload.user.CopyFrom(to.to_pb())
        if number % 10 == 0:
            payload.document.filename = text
        elif number % 11:
            payload.textContent = text
        if number % 3 == 0:
            payload.proof.key, payload.proof.signature = chance.randbytes(32), chance.randbytes(64)
            payload.proof.previous, payload.proof.time = chance.getrandbits(55), chance.getrandbits(55)
        yield encode("MESSAGE", payload)


@READERS
def test_what_is_read_without_protobuf_is_what_protobuf_reads_whatever_the_bytes(read):
    chance = random.Random(11)
    seen = 0
    for frame in frames_of_all_shapes(chance):
        for spoilt in range(20):
            bad = bytearray(frame)
            for _ in range(spoilt and chance.randrange(1, 3)):
                bad[chance.randrange(min(len(bad), 150))] = chance.randrange(256)
            ((_offset, _kind, _marks, _status, _key, pair, data),), size = read(
                entry_bytes(MESSAGE, BOTH, 1, 5.0, bytes(16), bytes(bad))
            )
            assert size == HEAD.size + len(bad)
            if pair is None:
                assert data == bad
                continue
            seen += 1
            message = message_of(bytes(bad))
            try:
                two = pb.ChatMessage.FromString(pair)
            except DecodeError:
                assert message is None
                continue
            assert message is not None
            assert (message.author, message.user, message.textContent) == (two.author, two.user, data)
            assert message.WhichOneof("recipient") == "user"
            assert not message.document.filename
    assert seen > 1000


def test_python_and_the_core_read_the_same_entries_of_good_and_of_broken_records():
    chance = random.Random(12)
    frames = [
        entry_bytes(
            chance.choice([MESSAGE] * 5 + [READ, STATUS]), number % 4, number % 7, 5.0, chance.randbytes(16), frame
        )
        for number, frame in enumerate(frames_of_all_shapes(chance))
    ]
    whole = b"".join(frames)
    found, size = plain.read_entries(whole)
    assert (found, size) == plain.read_entries_pure(whole)
    assert [each[0] for each in found] == [each.offset for each in entries(whole)]
    assert sum(each[5] is not None for each in found) > 100
    for _ in range(200):
        cut = b"".join(frames[:5])[: chance.randrange(500)]
        assert plain.read_entries(cut) == plain.read_entries_pure(cut)


# Lists --------------------------------------------------------------------------------------------


def test_each_of_two_has_one_list_in_order_and_nobody_else_has_any(kept):
    kept.say("one", "two")
    kept.say("three", author=BOB, to=ALICE)
    assert kept.texts("alice", BOB) == kept.texts("bob", ALICE) == ["three", "two", "one"]
    assert kept.texts("bob", ALICE, after=1) == ["two", "three"]
    assert kept.texts("bob", ALICE, before=3) == ["two", "one"]
    assert kept.texts("eve", ALICE) == kept.texts("alice", EVE) == []


def test_what_comes_twice_stands_once_after_a_restart_too(kept):
    twice = kept.entry(ALICE, BOB, "once")
    kept.write(twice, twice)
    kept.project()
    kept.db.close()
    kept.open()
    kept.write(twice)
    kept.project()
    assert kept.texts("alice", BOB) == kept.texts("bob", ALICE) == ["once"]


@pytest.mark.parametrize("to", [BOB, CREW])
def test_what_comes_twice_stands_once_after_the_disk_was_full_too(kept, to, monkeypatch):
    once = kept.entry(ALICE, to, "once")
    kept.write(once)
    kept.project()
    kept.write(kept.entry(ALICE, to, "next"))
    with monkeypatch.context() as patched:
        patched.setattr(storage, "set_projected", lambda _db, _number: [].pop())
        with pytest.raises(IndexError):
            kept.project()
    kept.write(once)
    kept.project()
    assert kept.texts("alice", to) == ["next", "once"]


@pytest.mark.parametrize("to", [BOB, CREW])
def test_what_came_again_is_in_the_lists_once_though_its_key_is_forgotten(kept, to, monkeypatch):
    monkeypatch.setattr(projection, "KNOWN", 2)
    for number in range(1, 12):
        kept.say(f"number {number}", to=to)
    new = entry_bytes(MESSAGE, BOTH | AGAIN, Status.DELIVERED, 5.0, b"n" * 16, message(ALICE, to, "new", 99))
    again = entry_bytes(MESSAGE, SENT | AGAIN, Status.DELIVERED, 5.0, b"a" * 16, message(ALICE, to, "number 1", 1))
    kept.write(again, new)
    kept.project()
    assert kept.texts("alice", to, after=0) == [*(f"number {number}" for number in range(1, 12)), "new"]


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("first", ["as it was", "as it was changed"])
def test_what_comes_again_with_the_text_of_an_edit_is_the_same_message(kept, first, is_restarted):
    kept.say("number 1")
    was = decode(read_datagram(message(ALICE, BOB, "frist", 9)), pb.ChatMessage)
    edit = decode(read_datagram(message(ALICE, BOB, "", 10)), pb.ChatMessage)
    edit.edit.CopyFrom(pb.Edit(target=9, content=content_digest(was), revision=1, text="first"))
    both = [was, revised(was, edit)] if first == "as it was" else [revised(was, edit), was]
    for key, each in enumerate(both, 100):
        kept.write(
            entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 5.0, key.to_bytes(16, "little"), encode("MESSAGE", each))
        )
        kept.project()
        if is_restarted:
            kept.db.close()
            kept.open()
    kept.write(entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 6.0, b"e" * 16, encode("MESSAGE", edit)))
    kept.project()
    kept.say("number 2")
    for person, other in (("alice", BOB), ("bob", ALICE)):
        assert edited(kept, person, other) == ["number 1", "first", "number 2"]


def test_what_was_written_and_not_projected_is_projected_at_the_next_start(kept):
    kept.write(kept.entry(ALICE, BOB, "one"))
    kept.db.close()
    kept.open()
    kept.project()
    assert kept.texts("alice", BOB) == ["one"]


def test_a_status_that_comes_later_is_the_lines(kept):
    key = b"k" * 16
    raw = message(ALICE, BEA, "hello")
    kept.write(entry_bytes(MESSAGE, SENT, Status.OTHER_SERVER_TIMEOUT, 5.0, key, raw))
    kept.project()
    assert [line.status for line in kept.reader().history(conversation("alice", BEA)).lines] == [
        Status.OTHER_SERVER_TIMEOUT
    ]
    kept.write(entry_bytes(STATUS, SENT, Status.DELIVERED, 6.0, key))
    kept.project()
    lines = kept.reader().history(conversation("alice", BEA)).lines
    assert [(line.status, line.at) for line in lines] == [(Status.DELIVERED, 1005.0)]


def test_reading_goes_forward_only_and_not_beyond_what_is_there(kept):
    kept.say("one", "two", "three")

    def read(sequence):
        mark = pb.ReadMark(person="bob", user=ALICE.to_pb(), sequence=sequence)
        kept.write(entry_bytes(READ, 0, 255, 0.0, bytes(16), mark.SerializeToString()))
        kept.project()
        ((each,), _more) = kept.reader().conversations("bob", 10)
        return each.unread, each.read

    assert [read(2), read(1), read(1 << 63), read(0)] == [(1, 2), (1, 2), (0, 3), (0, 3)]


def test_reading_what_is_not_there_makes_no_conversation(kept):
    """Who says so of one invented name after another would fill the file with them, for good."""
    kept.say("one")
    before = kept.reader().figures()["conversations"]
    for number in range(20):
        mark = pb.ReadMark(person="bob", user=User(f"nobody{number}", "beta").to_pb(), sequence=1)
        kept.write(entry_bytes(READ, 0, 255, 0.0, bytes(16), mark.SerializeToString()))
    kept.project()
    assert kept.reader().figures()["conversations"] == before > 0


def test_a_broken_record_is_passed_by_and_counted(kept):
    kept.write(kept.entry(ALICE, BOB, "before"), b"\xff\xff")
    kept.write(kept.entry(ALICE, BOB, "behind"))
    kept.project()
    assert kept.texts("alice", BOB) == ["behind", "before"]
    assert kept.projection.broken == 1


def test_a_message_of_nobody_that_can_be_read_is_passed_by_and_counted(kept):
    spoilt = kept.entry(ALICE, BOB, "unreadable").replace(b"\x0a\x05alice", b"\x0a\x7falice")
    kept.write(spoilt, kept.entry(ALICE, BOB, "readable"))
    kept.project()
    assert kept.texts("alice", BOB) == ["readable"]
    assert kept.projection.broken == 1


def test_a_record_that_is_torn_is_passed_by_and_counted(kept):
    """Its bytes may still be read as entries: they are not those that were written."""
    for text in ("before", "torn", "behind"):
        kept.write(kept.entry(ALICE, BOB, text))
    kept.db.execute("UPDATE record SET body = CAST(replace(body, 'torn', 'gone') AS BLOB) WHERE id = 2")
    kept.project()
    assert kept.texts("alice", BOB) == ["behind", "before"]
    assert kept.projection.broken == 1


def test_an_answer_ends_at_its_bytes_and_a_message_that_is_larger_comes_without_them(kept):
    kept.say(*("x" * 200_000 for _ in range(6)), "y" * 600_000)
    page = kept.reader().history(conversation("alice", BOB))
    assert [len(line.message) for line in page.lines] == [0]
    assert page.more
    page = kept.reader().history(conversation("alice", BOB), before=page.lines[-1].sequence)
    assert len(page.lines) == 2
    assert page.more


# Words --------------------------------------------------------------------------------------------


def test_a_search_finds_ones_own_by_all_words_without_case_and_accents_the_newest_first(kept):
    kept.say("Déjà vu at lunch", "lunch on friday", "no meal")
    kept.say("lunch with eve", author=EVE, to=BEA, marks=SENT)
    assert kept.found("bob", "LUNCH") == ["lunch on friday", "Déjà vu at lunch"]
    assert kept.found("alice", "deja lunch") == ["Déjà vu at lunch"]
    assert kept.found("alice", "fri*") == ["lunch on friday"]
    assert kept.found("eve", "lunch") == ["lunch with eve"]
    assert kept.found("dan", "lunch") == kept.found("alice", "zqp") == []


def test_a_search_goes_on_where_it_was(kept):
    kept.say(*(f"word {number}" for number in range(30)))
    kept.day = 2
    kept.say(*(f"word {number}" for number in range(30, 50)))
    seen, before = [], 0
    while True:
        page = kept.reader().search("alice", query_of("word"), before=before, limit=7)
        seen += [pb.ChatMessage.FromString(line.message).textContent for line in page.lines]
        if not page.more:
            break
        before = page.next
    assert seen == [f"word {number}" for number in reversed(range(50))]


def test_scripts_without_spaces_are_found_by_three_characters(kept):
    kept.say("明日の昼食はどこですか", "昼食はカレー", "lunch")
    kept.day = 2
    kept.say("no such script")
    assert kept.found("bob", "昼食は") == ["昼食はカレー", "明日の昼食はどこですか"]
    assert kept.found("bob", "昼食はカ") == ["昼食はカレー"]
    with pytest.raises(ConfigError, match="3 characters"):
        query_of("昼食")


@pytest.mark.parametrize("text", ["", "  ", "!!", "a" * 300, "w " * 20])
def test_a_query_without_words_or_with_too_many_is_refused(text):
    with pytest.raises(ConfigError):
        query_of(text)


@pytest.mark.parametrize("text", ['"', 'a" OR b', "NEAR(a b)", "text:a", "a-b", "a_b", "AND", "a' --", "*", "(a"])
def test_no_query_is_read_as_an_expression(kept, text):
    kept.say("a b")
    try:
        query = query_of(text)
    except ConfigError:
        return
    kept.reader().search("alice", query)


# Ends ---------------------------------------------------------------------------------------------


def test_days_that_are_over_go_with_their_lines_and_words_and_their_bytes(kept):
    kept.say("oldsecret one", "oldsecret two")
    kept.day = 2
    kept.say("new")
    assert retention.remove_before(kept.db, 2) == 1
    kept.projection.forget()
    assert kept.texts("alice", BOB) == ["new"]
    assert kept.found("alice", "oldsecret") == []
    assert b"oldsecret" not in kept.bytes_on_disk()
    assert [line.sequence for line in kept.reader().history(conversation("bob", ALICE)).lines] == [3]
    assert retention.verify(kept.db) == {
        "records": 1,
        "broken_records": 0,
        "lines": 2,
        "lost_lines": 0,
        "lost_files": 0,
    }
    kept.say("later")
    assert kept.texts("bob", ALICE) == ["later", "new"]


def test_where_the_file_is_too_large_the_oldest_days_go_and_the_last_one_stays(kept):
    for kept.day in range(1, 6):
        kept.say(*("z" * 10_000 for _ in range(20)))
    size = storage.used_bytes(kept.db)
    assert retention.shrink(kept.db, size // 2) >= 2
    assert storage.used_bytes(kept.db) <= size // 2
    retention.shrink(kept.db, 1)
    assert [row[0] for row in kept.db.execute("SELECT day FROM day")] == [5]


def test_who_is_erased_leaves_nothing_that_nobody_else_has_and_others_keep_theirs(kept):
    kept.say("sharedwith bob")
    kept.say("onlyalices", to=BEA, marks=SENT)
    kept.say("bobsown", author=BOB, to=BEA, marks=SENT)
    assert retention.erase(kept.db, "alice", "alpha") == 1
    kept.projection.forget()
    assert kept.texts("alice", BOB) == kept.texts("alice", BEA) == []
    assert kept.texts("bob", ALICE) == ["sharedwith bob"]
    assert kept.found("bob", "sharedwith") == ["sharedwith bob"]
    assert kept.found("bob", "bobsown") == ["bobsown"]
    assert b"onlyalices" not in kept.bytes_on_disk()
    assert retention.verify(kept.db)["broken_records"] == 0
    assert retention.erase(kept.db, "bob", "alpha") == 2
    assert b"sharedwith" not in kept.bytes_on_disk()


def test_a_file_that_is_no_archive_or_of_another_format_is_left_as_it_is(tmp_path):
    path = tmp_path / storage.NAME
    path.write_bytes(b"something else" * 100)
    with pytest.raises(storage.Unusable):
        storage.open_file(path)
    assert path.read_bytes() == b"something else" * 100


def test_a_question_takes_no_longer_than_it_may(kept, monkeypatch):
    kept.say(*(f"word {number}" for number in range(3000)))
    monkeypatch.setattr("parley.services.chat.archive.reader.SECONDS", 0.0)
    begun = time.monotonic()
    page = kept.reader().search("alice", query_of("word"))
    assert page.more
    assert time.monotonic() - begun < 5.0


def test_a_page_of_lines_that_takes_too_long_ends_where_it_has_come(kept, monkeypatch):
    """A busy machine, or a slow disk: whoever asked goes on from there, and is told of no error."""
    for number in range(50):
        kept.say(f"number {number}", "x" * 60_000)
    reader, read, taken = kept.reader(), [], storage.read_record
    monkeypatch.setattr(storage, "read_record", lambda db, number: read.append(number) or taken(db, number))
    reader._db.set_progress_handler(lambda: len(read) > 10, 1)
    page = reader.history(conversation("alice", BOB), limit=60)
    assert 0 < len(page.lines) < 60
    assert page.more


def test_names_of_conversations_are_whole():
    assert conversation("alice", CREW) == Conversation("alice", True, "crew", "alpha")
    assert Conversation("alice", True, "crew", "alpha").other == CREW


# Edits --------------------------------------------------------------------------------------------


def test_an_edit_changes_the_line_of_its_message_and_is_none_itself(kept):
    kept.say("number 1", "number 2", "number 3")
    kept.write(edit_entry(kept, ALICE, BOB, 2, "second"))
    kept.project()
    kept.say("after it")
    for person, other in (("alice", BOB), ("bob", ALICE)):
        assert edited(kept, person, other) == ["number 1", "second", "number 3", "after it"]
    assert kept.projection.broken == 0


@pytest.mark.parametrize("apart", [False, True])
def test_the_greatest_revision_holds_in_whatever_order_they_come(kept, apart):
    entries = [kept.entry(ALICE, BOB, "number 1")]
    entries += [edit_entry(kept, ALICE, BOB, 1, f"revision {n}", revision=n) for n in (2, 5, 3)]
    if apart:
        for each in entries:
            kept.write(each)
            kept.project()
    else:
        kept.write(*entries)
        kept.project()
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["revision 5"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_deletion_holds_for_good_whatever_revision_another_device_gave_and_whenever_it_came(kept, first):
    changes = [
        edit_entry(kept, ALICE, BOB, 3, revision=2, deletes=True),
        edit_entry(kept, ALICE, BOB, 3, "of the other device", revision=7),
    ]
    kept.write(kept.entry(ALICE, BOB, "number 3"))
    for each in (changes[first], changes[not first]):
        kept.write(each)
        kept.project()
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == [None]


def test_of_two_edits_with_one_revision_the_same_holds_in_whatever_order_they_come(kept):
    kept.write(kept.entry(ALICE, BOB, "number 1"))
    first, second = (edit_entry(kept, ALICE, BOB, 1, f"of device {n}", revision=4) for n in (1, 2))
    for each in (first, second, second, first):
        kept.write(each)
        kept.project()
    kept.write(kept.entry(BOB, ALICE, "number 4"))
    later, sooner = (edit_entry(kept, BOB, ALICE, 4, f"of device {n}", revision=4) for n in (1, 2))
    kept.write(sooner, later)
    kept.project()
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["of device 2", "of device 2"]


@pytest.mark.parametrize(
    "how",
    [
        {"author": BOB, "to": ALICE},
        {"author": EVE},
        {"target": 9},
        {"content": "otherwise"},
        {"to": EVE},
        {"to": CREW},
    ],
    ids=str,
)
def test_nobody_elses_message_is_changed_nor_another_than_was_meant(kept, how):
    kept.say("number 1", "number 2")
    kept.say("something else", to=EVE)
    kept.write(edit_entry(kept, **({"author": ALICE, "to": BOB, "target": 1, "text": "forged"} | how)))
    kept.project()
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["number 1", "number 2"]
    assert edited(kept, "alice", EVE) == ["something else"]
    assert kept.found("alice", "forged") == []


def test_a_group_is_told_and_who_was_no_member_yet_has_nothing_to_change(kept):
    kept.write(kept.entry(ALICE, CREW, "number 1", marks=SENT, status=NO_STATUS))
    key = kept.snowflake.to_bytes(16, "little")
    kept.write(
        kept.entry(ALICE, CREW, "number 2", marks=SENT, status=NO_STATUS),
        *(entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, kept.snowflake.to_bytes(16, "little"), n) for n in (b"bob",)),
    )
    kept.project()
    for target in (1, 2):
        change = edit_entry(kept, ALICE, CREW, target, f"edited {target}", marks=SENT)
        key = kept.snowflake.to_bytes(16, "little")
        kept.write(change, *(entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, key, n) for n in (b"bob", b"eve")))
    kept.project()
    assert edited(kept, "alice", CREW) == ["edited 1", "edited 2"]
    assert edited(kept, "bob", CREW) == ["edited 2"]
    assert edited(kept, "eve", CREW) == []


def test_who_begins_a_message_as_another_would_is_not_that_other(kept):
    kept.say("number 1")
    begin = pb.ChatMessage(messageSnowflake=1, author=ALICE.to_pb()).SerializeToString()
    rest = pb.ChatMessage(author=BOB.to_pb(), user=ALICE.to_pb(), textContent="bob's").SerializeToString()
    kept.write(entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 5.0, b"k" * 16, encode_frame("MESSAGE", begin + rest)))
    kept.write(edit_entry(kept, ALICE, BOB, 1, "forged", content="bob's"))
    kept.project()
    assert edited(kept, "alice", BOB) == ["number 1", "bob's"]
    kept.write(edit_entry(kept, ALICE, BOB, 1, "changed"))
    kept.project()
    assert edited(kept, "alice", BOB) == ["changed", "bob's"]


DEVICE, LAPTOP, LOST, STRANGER = (PrivateKey(bytes([number]) * 32) for number in range(1, 5))


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize("to", [BOB, CREW], ids=str)
@pytest.mark.parametrize("device", [None, STRANGER, LOST], ids=["nobody", "a stranger", "a lost device"])
def test_what_is_signed_is_changed_by_nobody_who_signs_as_another(kept, to, device, deletes):
    kept.keys[ALICE] = DeviceKeys([DEVICE.public, LAPTOP.public], [LOST.public])
    kept.write(signed_entry(kept.entry(ALICE, to, "number 1", marks=SENT), DEVICE))
    edit = edit_entry(kept, ALICE, to, 1, "forged", deletes=deletes, marks=SENT)
    kept.write(edit if device is None else signed_entry(edit, device))
    kept.project()
    assert edited(kept, "alice", to) == ["number 1"]
    assert kept.projection.edits.without_effect[WithoutEffect.UNPROVEN] == 1
    retention.blank_due(kept.db)
    assert kept.texts("alice", to) == ["number 1"]
    kept.write(signed_entry(edit_entry(kept, ALICE, to, 1, "mine", marks=SENT), LAPTOP))
    kept.project()
    assert edited(kept, "alice", to) == ["mine"]


def test_edits_that_change_nothing_are_counted_by_why(kept):
    kept.say("number 1")
    kept.write(edit_entry(kept, BOB, ALICE, 1, "of another's"), edit_entry(kept, ALICE, BOB, 1, "new", revision=3))
    kept.write(edit_entry(kept, ALICE, BOB, 1, "late", revision=2))
    kept.project()
    kept.give_up_edits()
    found = kept.projection.edits.without_effect
    assert found == {WithoutEffect.NO_SUCH_MESSAGE: 2, WithoutEffect.UNPROVEN: 0, WithoutEffect.OLDER: 2}
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["new"]


def test_whose_the_messages_are_that_all_members_have_is_read_once(kept, monkeypatch):
    members, lines = [f"m{number}".encode() for number in range(20)], 30

    def tell(entry):
        key = kept.snowflake.to_bytes(16, "little")
        kept.write(entry, *(entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, key, name) for name in members))

    for number in range(lines):
        tell(kept.entry(ALICE, CREW, f"number {number + 1}", marks=SENT, status=NO_STATUS))
    kept.project()
    reads = []
    begin_of = Edits._begin_of
    monkeypatch.setattr(Edits, "_begin_of", lambda self, at: reads.append(at) or begin_of(self, at))
    tell(edit_entry(kept, ALICE, CREW, 9999, "of nothing", marks=SENT))
    tell(edit_entry(kept, ALICE, CREW, 3, "third", marks=SENT))
    kept.project()
    assert sorted(reads) == sorted(set(reads))
    assert len(reads) == lines
    assert all(edited(kept, name.decode(), CREW)[2] == "third" for name in members)


def test_an_edit_of_nothing_reads_no_message_that_it_looks_at_whole(kept, monkeypatch):
    for n in range(20):
        kept.say(f"number {n + 1}" + " and more" * 10_000)
    kept.write(edit_entry(kept, ALICE, BOB, 99, "of nothing"), edit_entry(kept, BOB, ALICE, 3, "of another's"))
    reads = []
    read_record = storage.read_record
    monkeypatch.setattr(storage, "read_record", lambda *args: reads.append(args) or read_record(*args))
    kept.project()
    assert reads == []
    kept.write(edit_entry(kept, ALICE, BOB, 3, "third", content="number 3" + " and more" * 10_000))
    kept.project()
    assert len(reads) == 1  # though it is in the lists of two
    assert edited(kept, "bob", ALICE)[2] == "third"


def test_a_search_finds_what_is_written_now(kept):
    kept.say("number 1", "number 2", "number 3")
    kept.write(edit_entry(kept, ALICE, BOB, 1, "lunch"), edit_entry(kept, ALICE, BOB, 2, deletes=True))
    kept.write(edit_entry(kept, ALICE, BOB, 1, "supper", revision=2))
    kept.project()
    assert kept.found("bob", "number") == ["number 3"]
    assert kept.found("bob", "lunch") == []
    [line] = kept.reader().search("bob", query_of("supper")).lines
    assert (line.sequence, pb.ChatMessage.FromString(line.edit).edit.text) == (1, "supper")


def test_what_was_deleted_is_gone_from_the_disk_and_so_is_what_it_was_edited_to(kept):
    kept.say("number 1", "zanzibar")
    target = kept.snowflake
    kept.write(edit_entry(kept, ALICE, BOB, target, "timbuktu", content="zanzibar"))
    kept.project()
    kept.write(edit_entry(kept, ALICE, BOB, target, revision=2, deletes=True, content="zanzibar"))
    kept.project()
    assert b"zanzibar" in kept.bytes_on_disk()
    assert retention.blank_due(kept.db) == 2
    kept.projection.forget()
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["number 1", None]
    for word in (b"zanzibar", b"timbuktu"):
        assert word not in kept.bytes_on_disk()
    assert retention.blank_due(kept.db) == 0
    assert retention.verify(kept.db)["broken_records"] == 0


def test_what_is_deleted_in_one_list_keeps_its_words_until_the_deletion_is_in_the_others(kept):
    kept.say("zanzibar")
    deletion = edit_entry(
        kept, ALICE, BOB, kept.snowflake, revision=2, deletes=True, content="zanzibar", marks=SENT
    )
    kept.write(deletion)
    kept.project()
    assert (edited(kept, "alice", BOB), edited(kept, "bob", ALICE)) == ([None], ["zanzibar"])
    assert retention.blank_due(kept.db) == 0
    kept.write(with_marks(deletion, BOTH))
    kept.project()
    assert edited(kept, "bob", ALICE) == [None]
    assert retention.blank_due(kept.db) == 1
    assert b"zanzibar" not in kept.bytes_on_disk()


def test_what_is_deleted_for_some_members_keeps_its_words_until_it_is_for_all(kept):
    def tell(entry, first, *others):
        """Members have it, in one chunk; a copy begins with whom it is for."""
        (found,) = entries(entry)
        head, whole = pb.ChatMessage(), message_of(found.data)
        whole.ClearField("group")
        head.userOfGroup.user.CopyFrom(User(first, "alpha").to_pb())
        head.userOfGroup.group.CopyFrom(CREW.to_pb())
        frame = encode_frame("MESSAGE", head.SerializeToString() + whole.SerializeToString())
        copies = (entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, found.key, each.encode()) for each in others)
        kept.write(entry_bytes(MESSAGE, RECEIVED, NO_STATUS, 5.0, found.key, frame), *copies)
        kept.project()

    tell(kept.entry(ALICE, CREW, "zanzibar"), "bob", "eve")
    tell(edit_entry(kept, ALICE, CREW, kept.snowflake, "timbuktu", content="zanzibar"), "bob", "eve")
    assert edited(kept, "bob", CREW) == edited(kept, "eve", CREW) == ["timbuktu"]
    deletion = edit_entry(kept, ALICE, CREW, 1, deletes=True, content="zanzibar")
    tell(deletion, "bob")
    assert (edited(kept, "bob", CREW), edited(kept, "eve", CREW)) == ([None], ["timbuktu"])
    assert retention.blank_due(kept.db) == 0
    tell(deletion, "eve")
    assert edited(kept, "eve", CREW) == [None]
    retention.blank_due(kept.db)
    for word in (b"zanzibar", b"timbuktu"):
        assert word not in kept.bytes_on_disk()


def test_what_was_blanked_comes_back_no_more_though_its_author_is_told_of_it_again_after_a_restart(kept):
    text = kept.entry(ALICE, CREW, "zanzibar", marks=SENT, status=NO_STATUS)
    deletion = edit_entry(kept, ALICE, CREW, 1, deletes=True, content="zanzibar", marks=SENT)
    kept.write(text, deletion)
    kept.project()
    assert retention.blank_due(kept.db) == 1
    kept.db.close()
    kept.open()
    kept.write(text)
    kept.project()
    assert edited(kept, "alice", CREW) == [None]


def test_an_edit_of_what_nobody_has_is_blanked_too(kept):
    kept.say("number 1")
    kept.write(edit_entry(kept, ALICE, BOB, 99, "timbuktu"), edit_entry(kept, ALICE, BOB, 1, "pontevedra"))
    kept.project()
    assert retention.blank_due(kept.db) == 0  # its message may come yet
    kept.give_up_edits()
    assert retention.blank_due(kept.db) == 1
    assert [word in kept.bytes_on_disk() for word in (b"timbuktu", b"pontevedra")] == [False, True]


def test_a_record_that_a_disk_changed_is_told_to_nobody(kept):
    kept.say("number 1")
    kept.write(edit_entry(kept, ALICE, BOB, 1, "changed"))
    kept.project()
    number, body = kept.db.execute("SELECT id, body FROM record ORDER BY id DESC LIMIT 1").fetchone()
    body = body.replace(b"changed", b"\xff" * 7)
    kept.db.execute("UPDATE record SET body = ? WHERE id = ?", (body, number))
    [line] = kept.reader().history(conversation("alice", BOB)).lines
    assert line.edit == b""
    assert b"number 1" in line.message


def test_an_edit_that_holds_in_one_list_stays_though_another_list_has_a_newer_one(kept):
    kept.say("number 1")
    kept.write(edit_entry(kept, ALICE, BOB, 1, "first"))
    kept.write(edit_entry(kept, ALICE, BOB, 1, "second", revision=2, marks=SENT))
    kept.project()
    retention.blank_due(kept.db)
    assert (edited(kept, "alice", BOB), edited(kept, "bob", ALICE)) == (["second"], ["first"])


def test_erasing_a_person_erases_their_edits(kept):
    kept.say("number 1", to=BEA, marks=SENT)
    kept.write(edit_entry(kept, ALICE, BEA, 1, "timbuktu", marks=SENT))
    kept.project()
    retention.erase(kept.db, "alice", "alpha")
    assert b"timbuktu" not in kept.bytes_on_disk()
    assert kept.db.execute("SELECT count(*) FROM edit").fetchone() == (0,)


# Numbers that come late ---------------------------------------------------------------------------


def unconfirmed(collector, number, arrived, text="Hello"):
    """A message to a group elsewhere that may have been taken there."""
    raw = encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, author=ALICE.to_pb(), textContent=text))
    envelope = Envelope(ALICE, number, Group("crew", "beta"), raw, bytes(16), arrived=arrived)
    collector.note(envelope, Status.UNKNOWN_STATUS)
    return envelope


def listed(collector):
    """(number, the group's number) of each message that was added."""
    found = [decode(read_datagram(data), pb.ChatMessage) for *_, data in collected(collector)]
    return [(each.messageSnowflake, each.groupNumber) for each in found]


def test_what_a_group_elsewhere_may_have_taken_is_listed_once_its_number_comes():
    collector = Collector("alpha", lambda: None)
    for number in (1, 2):
        unconfirmed(collector, number, 10.0)
    assert listed(collector) == []
    collector.numbered(ALICE, 2, Group("crew", "beta"), 77)
    assert listed(collector) == [(2, 77)]
    collector.numbered(ALICE, 2, Group("crew", "beta"), 77)
    collector.note(unconfirmed(collector, 2, 11.0), Status.USER_AWAY)
    assert listed(collector) == []
    collector.end()
    assert listed(collector) == [(1, 0)]


def test_no_number_is_waited_for_long_nor_for_many_nor_for_what_is_large():
    collector = Collector("alpha", lambda: None)
    unconfirmed(collector, 1, 10.0)
    unconfirmed(collector, 2, 10.0 + unnumbered.PATIENCE)
    assert listed(collector) == [(1, 0)]
    unconfirmed(collector, 3, 75.0, "x" * unnumbered.LARGEST)
    assert listed(collector) == [(3, 0)]
    for number in range(4, 3 + unnumbered.MOST):
        unconfirmed(collector, number, 75.0)
    assert listed(collector) == []
    unconfirmed(collector, 9999, 75.0)
    assert listed(collector) == [(2, 0)]
    assert len(collector._unnumbered) == unnumbered.MOST
