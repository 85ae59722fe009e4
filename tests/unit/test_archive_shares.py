"""Shares of the archive's room: whoever floods it, others' days and new messages are kept; on real files."""

import time
import zlib
from array import array

import pytest
import structlog

from parley.services.chat.archive import storage
from parley.services.chat.archive.entries import (
    COPY,
    MESSAGE,
    NO_STATUS,
    READ,
    RECEIVED,
    SENT,
    STATUS,
    count,
    entries,
    entry_bytes,
)
from parley.services.chat.archive.interface import Refused
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.shares import (
    DELETION,
    HIGHEST,
    LEAST,
    MOST,
    SMALL,
    SPARE,
    STEPS,
    Shares,
    level_of,
    needed,
    without_level,
)
from parley.services.chat.archive.sync import SyncReader
from parley.services.chat.archive.usage import ALL, Usage
from parley.services.chat.archive.worker import Chunk, Policy, Worker
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import encode, pb
from tests.support.kept_archive import ALICE, BEA, BOB, BOTH, CREW, EVE, Kept, edit_entry, message

ROOM = 16 << 20
SEED = b"s" * 32
GANG = Group("gang", "mallory")


# The rule -------------------------------------------------------------------------------------------


def test_each_doubling_is_a_level_and_each_level_leaves_a_part_of_the_room_to_those_below():
    free = without_level(5000, ROOM)
    assert [level_of(held, free) for held in (0, free, free + 1, 2 * free, 4 * free)] == [0, 0, 1, 2, 3]
    assert level_of(ROOM, free) == HIGHEST
    assert [needed(held, free, ROOM) for held in (0, free // 2, free)] == [0, ROOM // SMALL // 2, ROOM // SMALL]
    sixteenths = [needed(held, free, ROOM) * STEPS // ROOM for held in (free + 1, 2 * free, 4 * free)]
    assert sixteenths == [1, 2, 3]
    of_all = [needed(ROOM >> n, free, ROOM) for n in range(20, -1, -1)]
    assert of_all == sorted(of_all)
    assert ROOM // SMALL < ROOM // SPARE < ROOM // DELETION < ROOM // STEPS


def test_where_few_write_each_may_have_more_without_a_level():
    parts = [ROOM // without_level(people, ROOM) for people in (0, 1, 4, 10, 100, 1024, 5000)]
    assert parts == [MOST, MOST, MOST, 40, 400, LEAST, LEAST]
    assert without_level(10, 0) == 1


def filled(names, others, room):
    """How much each of so many names gets who all write as much as they can, and how much is used then."""
    used, held, step, free = 0, 0, room // 1000 // names, without_level(names + others, room)
    while used + needed(held, free, room) <= room:
        held, used = held + step, used + step * names
    return held, used, free


@pytest.mark.parametrize("others", [1, 50, 5000])
@pytest.mark.parametrize("names", [1, 4, 64, 1000, 10_000])
def test_however_many_names_flood_there_is_room_for_who_has_less_than_each_of_them(names, others):
    room = 4 << 30
    held, used, free = filled(names, others, room)
    assert used <= room * (0.752 if names == 1 else 0.997)
    assert used + needed(held // 4, free, room) < room


# Who has what ---------------------------------------------------------------------------------------


class Sieve:
    """The shares of alpha's archive, and what it let through."""

    def __init__(self, room=ROOM):
        self.room = room
        self.used = 0
        self.shares = Shares("alpha", SEED)
        self.number = 0

    def entry(self, author, to, size=1000, marks=BOTH, kind=MESSAGE):
        self.number += 1
        return entry_bytes(kind, marks, 1, 5.0, self.number.to_bytes(16, "little"), message(author, to, "x" * size))

    def __call__(self, *parts):
        """Offer a chunk; which of its entries are kept."""
        found = self.shares.sift(b"".join(parts), self.used, self.room)
        self.shares.count(found.held, array("q", bytes(16 << 16)))
        self.used += sum(found.held.values())
        kept = set(map(bytes, (each.data + each.key for each in entries(found.kept))))
        whole = [next(entries(part)) for part in parts]
        assert count(found.left_out) + sum(each.data + each.key in kept for each in whole) == len(parts)
        return [each.data + each.key in kept for each in whole]

    def fill(self, *holders, size=4000):
        """Have these write until nothing more of them is kept."""
        while any(self(*(self.entry(author, to, size) for author, to in holders))):
            pass


def test_who_floods_stops_and_others_go_on():
    sieve = Sieve()
    sieve.fill((EVE, BOB))
    assert 0.25 < sieve.used / ROOM < 0.33
    assert sieve(sieve.entry(EVE, BOB), sieve.entry(ALICE, BOB), sieve.entry(EVE, BEA)) == [False, True, False]
    assert sieve.shares.refused[Refused.AUTHOR] >= 3
    assert sieve.shares.refused[Refused.SERVER] == 0


def test_who_floods_stops_within_a_chunk_too():
    sieve = Sieve()
    kept = sieve(*(sieve.entry(EVE, BOB, 4000) for _ in range(ROOM // 4000)), sieve.entry(ALICE, BOB))
    assert 0.25 < sieve.used / ROOM < 0.33
    assert kept[-1]
    assert not kept[-2]


def test_nobody_is_hurt_by_what_others_write_to_them():
    sieve = Sieve()
    sieve.fill(*((User(f"eve{n}", "mallory"), BOB) for n in range(50)))
    assert all(sieve(sieve.entry(BOB, ALICE), sieve.entry(ALICE, BOB), sieve.entry(BEA, BOB, marks=RECEIVED)))


def test_many_names_of_one_server_have_a_share_together():
    sieve = Sieve()
    sieve.fill(*((User(f"eve{n}", "mallory"), BOB) for n in range(300)), size=500)
    assert sieve.used / ROOM < 0.6
    assert sieve.shares.refused[Refused.SERVER] > 0
    newcomer = sieve.entry(User("new", "mallory"), BOB)
    assert sieve(newcomer, sieve.entry(BEA, BOB), sieve.entry(ALICE, BOB)) == [False, True, True]


def test_many_servers_leave_room_for_others():
    sieve = Sieve()
    sieve.fill(*((User("eve", f"mallory{n}"), BOB) for n in range(100)), size=500)
    assert sieve.used / ROOM < 0.95
    assert all(sieve(sieve.entry(BEA, BOB, 100), sieve.entry(ALICE, BOB, 100)))


def test_what_a_group_of_another_server_says_that_others_wrote_is_that_groups():
    """Else it would use up the shares of people who wrote nothing."""
    sieve = Sieve()
    copy = pb.ChatMessage(messageSnowflake=1, author=BEA.to_pb(), textContent="x" * 4000)
    copy.userOfGroup.user.CopyFrom(BOB.to_pb())
    copy.userOfGroup.group.CopyFrom(GANG.to_pb())
    frame = encode("MESSAGE", copy)
    number = 0
    while all(
        sieve(entry_bytes(MESSAGE, RECEIVED, NO_STATUS, 5.0, (number := number + 1).to_bytes(16, "big"), frame))
    ):
        pass
    assert sieve.shares.of(sieve.shares.author(BEA).author) == 0
    assert sieve(sieve.entry(BEA, BOB, marks=RECEIVED), sieve.entry(ALICE, GANG, marks=SENT)) == [True, True]


def test_copies_go_with_their_message_and_statuses_too():
    sieve = Sieve()
    sieve.fill((EVE, BOB))
    texts = [sieve.entry(who, CREW, marks=SENT) for who in (EVE, ALICE)]
    keys = [next(entries(each)).key for each in texts]
    copies = [entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, key, b"bob") for key in keys]
    statuses = [entry_bytes(STATUS, SENT, 1, 5.0, key) for key in keys]
    assert sieve(*texts, *copies, *statuses) == [False, True] * 3
    assert sieve(*statuses) == [False, True]


def test_how_far_somebody_has_read_is_theirs():
    sieve = Sieve()
    sieve.fill((EVE, BOB))
    marks = [pb.ReadMark(person=who.user_id, user=BOB.to_pb(), sequence=9) for who in (EVE, ALICE)]
    assert sieve(
        *(entry_bytes(READ, 0, NO_STATUS, 5.0, bytes(16), each.SerializeToString()) for each in marks)
    ) == [
        False,
        True,
    ]


def test_what_its_author_deletes_is_deleted_however_much_they_have(tmp_path):
    kept, sieve = Kept(tmp_path), Sieve()
    sieve.fill((EVE, BOB))
    changes = [edit_entry(kept, EVE, to, 1, deletes=deletes) for deletes in (False, True) for to in (BOB, CREW)]
    assert sieve(*changes) == [False, False, True, True]
    copy = entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, next(entries(changes[3])).key, b"bob")
    assert sieve(changes[3], copy) == [True, True]
    sieve.used = ROOM
    assert sieve(*changes) == [False] * 4
    kept.db.close()


def test_a_chunk_that_is_cut_off_is_left_as_it_is():
    sieve = Sieve()
    sieve.used = ROOM
    chunk = sieve.entry(EVE, BOB)[:-1]
    assert sieve.shares.sift(chunk, ROOM, ROOM) == (chunk, b"", {}, 0)


def test_what_is_counted_is_about_what_the_file_takes(tmp_path):
    kept, shares = Kept(tmp_path), Shares("alpha", SEED)
    before, counted = storage.used_bytes(kept.db), 0
    for day in range(5):
        for number in range(2000):
            if number % 100 == 0:
                parts = [kept.entry(ALICE, BOB, f"number {day} {number} {n} of many words") for n in range(100)]
                kept.write(*parts)
                counted += sum(shares.held_in(b"".join(parts)).values())
        kept.project()
    assert 0.7 < (storage.used_bytes(kept.db) - before) / counted < 1.3
    kept.db.close()


# In the file ----------------------------------------------------------------------------------------


class Flooded:
    """An archive's thread with little room, for an archive of alpha."""

    def __init__(self, path, room=ROOM):
        self.path = path
        self.room = room
        self.number = 0
        self.open()

    def open(self):
        self.worker = Worker(self.path, Policy(30.0, self.room), structlog.get_logger(), server_id="alpha")
        self.worker.start()

    def say(self, day, *entries_of):
        chunk = []
        for author, to, text in entries_of:
            self.number += 1
            frame = message(author, to, text, self.number)
            key = self.number.to_bytes(16, "little")
            chunk.append(entry_bytes(MESSAGE, BOTH, Status.DELIVERED, 5.0, key, frame))
        self.worker.put(Chunk(b"".join(chunk), day * 86400.0, 0.0, 0.0, time.monotonic()))
        assert self.worker.wait_for(self.worker._put, 30.0)

    def flood(self, day, *holders, times=8):
        """So many times as much as there is room for."""
        for _ in range(times * self.room // (64 * 4000 * len(holders))):
            self.say(day, *((author, to, "z" * 4000) for author, to in holders for _ in range(64)))

    def texts(self, person, other):
        reader = SyncReader(self.path)
        lines = reader.history(conversation(person, other), limit=200).lines
        reader.close()
        return [pb.ChatMessage.FromString(line.message).textContent for line in reversed(lines)]


@pytest.fixture
def flooded(tmp_path):
    flooded = Flooded(tmp_path / storage.NAME)
    yield flooded
    flooded.worker.close()


@pytest.mark.parametrize(
    "holders",
    [
        [(EVE, BOB)],
        [(User("eve", "mallory"), BOB)],
        [(User(f"eve{n}", "mallory"), User(f"bob{n}", "alpha")) for n in range(20)],
        [(User(f"eve{n}", "alpha"), User(f"eve{n}", "alpha")) for n in range(20)],
    ],
    ids=["a user", "a user elsewhere", "a server", "twenty names"],
)
def test_whoever_floods_pushes_nobodys_days_out_and_new_messages_of_others_are_kept(flooded, holders):
    said = []
    for day in range(1, 6):
        said.append(f"day {day}")
        flooded.say(day, (ALICE, BOB, said[-1]))
    for day in range(6, 9):
        flooded.flood(day, *holders, times=3)
        said.append(f"day {day}")
        flooded.say(day, (ALICE, BOB, said[-1]))
    assert flooded.texts("alice", BOB) == flooded.texts("bob", ALICE) == said
    position = flooded.worker.position()
    assert not position.is_full
    assert sum(position.not_kept.values()) > 1000


def held(flooded):
    shares = flooded.worker._usage.shares
    return [shares.of(shares.author(who).author) for who in (ALICE, EVE)]


def test_the_next_process_knows_who_has_how_much_whether_or_not_the_tables_were_saved(flooded):
    flooded.flood(1, (EVE, BOB))
    flooded.say(2, (ALICE, BOB, "hello"))
    before = held(flooded)
    assert before[1] > ROOM / 8 > before[0] > 0
    for forgets in (False, True):
        flooded.worker.close()
        if forgets:  # an archive of an earlier Parley's
            db = storage.open_file(flooded.path)
            db.execute("DELETE FROM usage")
            db.close()
        flooded.open()
        flooded.say(2, (BEA, BOB, "I am here"))
        flooded.worker.hurry(0)
        until = time.monotonic() + 30.0
        while flooded.worker._usage.is_behind and time.monotonic() < until:
            flooded.say(2, (BEA, BOB, "still"))
        assert held(flooded) == before


@pytest.mark.parametrize("broken", [b"", b"no table", zlib.compress(bytes(8))], ids=["empty", "torn", "small"])
def test_a_table_that_is_not_whole_is_made_again(tmp_path, broken):
    kept = Kept(tmp_path)
    kept.write(*(kept.entry(EVE, BOB, "x" * 1000) for _ in range(10)))
    usage = Usage(kept.db, "alpha", 1)
    while usage.is_behind:
        usage.step()
    usage.save()
    key = usage.shares.author(EVE).author
    kept.db.execute("UPDATE usage SET sizes = ? WHERE day = 1", (broken,))
    again = Usage(kept.db, "alpha", 1)
    while again.is_behind:
        again.step()
    assert again.shares.of(key) == usage.shares.of(key) > 0
    kept.db.close()


def test_where_all_have_little_the_oldest_days_go_and_all_that_is_new_is_kept(flooded):
    people = [User(f"u{n}", "alpha") for n in range(8000)]
    for day in range(1, 13):
        for begin in range(0, len(people), 2000):
            flooded.say(day, *((who, who, "z" * 150) for who in people[begin : begin + 2000]))
        flooded.say(day, (ALICE, BOB, f"day {day}"))
    position = flooded.worker.position()
    assert not position.is_full
    assert position.size < ROOM
    assert position.not_kept["author"] < 0.02 * flooded.number
    said = flooded.texts("alice", BOB)
    assert said == [f"day {day}" for day in range(int(said[0][4:]), 13)]
    assert 3 < len(said) < 11


def test_what_a_day_had_is_free_again_once_that_is_removed(tmp_path):
    kept = Kept(tmp_path)
    usage = Usage(kept.db, "alpha", 0)
    for kept.day in (1, 2, 3):
        parts = [kept.entry(ALICE if kept.day == 2 else EVE, BOB, "x" * 1000) for _ in range(10)]
        kept.write(*parts)
        sifted = usage.shares.sift(b"".join(parts), 0, ROOM)
        usage.wrote(kept.day, [sifted.held], storage.last_record(kept.db))
        if kept.day < 3:
            usage.save()
    keys = [usage.shares.author(who).author for who in (ALICE, EVE)]
    alices, eves = map(usage.shares.of, keys)
    for day in (1, 3):
        kept.db.execute("DELETE FROM day WHERE day = ?", (day,))
        usage.forget_days()
        assert usage.shares.of(keys[1]) == (eves / 2 if day == 1 else 0)
    assert usage.shares.of(keys[0]) == alices
    again = Usage(kept.db, "alpha", 2)
    assert [again.shares.of(key) for key in keys] == [alices, 0]
    assert [row[0] for row in kept.db.execute("SELECT day FROM usage ORDER BY day")] == [ALL, 2]
    kept.db.close()


def test_names_share_places_in_the_tables_that_nobody_can_know_beforehand():
    one, other = Shares("alpha", SEED), Shares("alpha", b"t" * 32)
    assert one.author(EVE) != other.author(EVE)
    assert one.author(EVE) == Shares("alpha", SEED).author(EVE)
    assert one.author(EVE).server == 0
    assert one.author(BEA).server == one.author(User("other", "beta")).server != 0
