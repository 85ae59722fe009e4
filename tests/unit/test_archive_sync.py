"""SYNC: a device that asks for what is new holds what its person's lists hold, in order, and nothing twice."""

import random
import sqlite3

import pytest

from parley.services.chat.archive import retention, sync
from parley.services.chat.archive.entries import COPY, NO_STATUS, READ, RECEIVED, SENT, STATUS, entry_bytes
from parley.services.chat.archive.followers import Followers
from parley.services.chat.archive.lists import Conversation, conversation
from parley.services.chat.archive.sync import Cursor, cursor_from
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import User
from parley.shared.wire.messages import pb
from tests.support.kept_archive import ALICE, BEA, BOB, CREW, EVE, Kept

DELIVERED, AWAY = Status.DELIVERED, Status.USER_AWAY


@pytest.fixture
def kept(tmp_path):
    kept = Kept(tmp_path)
    yield kept
    kept.db.close()


def key_of(kept):
    """The key of the latest entry."""
    return kept.snowflake.to_bytes(16, "little")


def read_entry(person, other, sequence):
    mark = pb.ReadMark(person=person.user_id, user=other.to_pb(), sequence=sequence)
    return entry_bytes(READ, 0, NO_STATUS, 6.0, bytes(16), mark.SerializeToString())


class Device:
    """One device of a person's: what it was told, and how often."""

    def __init__(self, kept, person="alice"):
        self.kept, self.person = kept, person
        self.cursor = b""
        self.lines = {}
        self.read = {}
        self.pages = self.told = self.started_over = 0

    def page(self, limit=200):
        found = self.kept.reader().sync(self.person, self.cursor, limit=limit)
        if found.starts_over:
            self.started_over += 1
            self.lines, self.read = {}, {}
        for line in found.lines:
            self.lines[line.conversation, line.sequence] = line
        self.read.update(found.read)
        self.cursor = found.cursor
        self.pages += 1
        self.told += len(found.lines)
        assert len(found.lines) <= limit
        return found

    def sync(self, limit=200):
        while self.page(limit).more:
            pass

    def holds(self):
        return {
            each: [(n, line.status, line.message) for (of, n), line in sorted(self.lines.items()) if of == each]
            for each in {of for of, _ in self.lines}
        }


def lists_of(kept, person):
    """What the person's lists hold by now."""
    rows = kept.db.execute("SELECT person, is_group, name, server_id FROM conversation WHERE person = ?", (person,))
    found = {}
    for row in rows.fetchall():
        each = Conversation(*row)
        lines, after, more = [], 0, True
        while more:
            page = kept.reader().history(each, after=after, limit=200)
            lines += [(line.sequence, line.status, line.message) for line in page.lines]
            after, more = lines[-1][0] if lines else 0, page.more
        if lines:
            found[each] = lines
    return found


def test_a_device_is_told_what_is_new_and_only_that(kept):
    device = Device(kept)
    kept.say("one", "two")
    device.sync()
    assert device.told == 2
    device.sync()
    assert device.told == 2
    kept.say("three", author=BOB, to=ALICE)
    kept.say("not hers", author=BOB, to=EVE)
    device.sync()
    assert device.told == 3
    assert device.holds() == lists_of(kept, "alice")


def test_a_status_that_changed_and_what_was_read_elsewhere_come_again(kept):
    device = Device(kept)
    kept.say(*(f"number {n}" for n in range(20)))
    kept.say("for later", to=BEA, marks=SENT, status=AWAY)
    waiting = key_of(kept)
    kept.say("after it", to=BEA, marks=SENT)
    device.sync()
    kept.write(entry_bytes(STATUS, SENT, DELIVERED, 6.0, waiting), read_entry(ALICE, BOB, 7))
    kept.project()
    device.sync()
    assert device.told == 23
    assert device.lines[conversation("alice", BEA), 1].status == DELIVERED
    assert device.read[conversation("alice", BOB)] == 7
    assert kept.projection.touched == {"alice", "bob"}


def entries_by_chance(kept, chance, waiting):
    """Some entries of a chunk; `waiting`: keys of messages without a final status."""
    author, to = chance.sample((ALICE, BOB, EVE), 2)
    what = chance.random()
    if what < 0.5:
        return [kept.entry(author, to, f"text {kept.snowflake}")]
    if what < 0.65:
        entry = kept.entry(author, BEA, "away", marks=SENT, status=AWAY)
        waiting.append(key_of(kept))
        return [entry]
    if what < 0.8 and waiting:
        return [entry_bytes(STATUS, SENT, DELIVERED, 6.0, waiting.pop(chance.randrange(len(waiting))))]
    if what < 0.9:
        entry = kept.entry(author, CREW, "to all", marks=SENT, status=NO_STATUS)
        names = [user.user_id.encode() for user in (ALICE, BOB)]
        return [entry, *(entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, key_of(kept), name) for name in names)]
    return [read_entry(author, to, chance.randrange(1, 30))]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_and_whenever_it_asks_a_device_holds_its_persons_lists_at_the_end(kept, seed):
    chance = random.Random(seed)
    devices = [Device(kept, person) for person in ("alice", "alice", "bob")]
    waiting = []
    for _ in range(120):
        many = range(chance.randrange(1, 6))
        kept.write(*(part for _ in many for part in entries_by_chance(kept, chance, waiting)))
        if chance.random() < 0.7:
            kept.project()
        for device in devices:
            if chance.random() < 0.4:
                device.page(chance.choice((1, 2, 7, 200)))
    kept.project()
    for device in devices:
        device.sync(chance.choice((1, 3, 50)))
        assert device.holds() == lists_of(kept, device.person)
        assert device.started_over == 0
        marks = "SELECT person, is_group, name, server_id, read FROM conversation WHERE person = ? AND read > 0"
        assert device.read == {Conversation(*r[:4]): r[4] for r in kept.db.execute(marks, (device.person,))}
        told = device.told
        device.sync()
        assert device.told == told


def test_a_cursor_that_fits_no_more_starts_over(kept):
    device = Device(kept)
    kept.say("one", "two")
    device.sync()
    good = device.cursor
    for bad in (b"x", good + b"x", bytes(len(good)), Cursor(1 << 63, 0, 0, 0).to_bytes()):
        device.cursor = bad
        device.sync()
    beyond = cursor_from(good)
    for bad in (beyond._replace(target=beyond.target + 9), beyond._replace(epoch=5), beyond._replace(check=5)):
        device.cursor = bad.to_bytes()
        device.sync()
    assert device.started_over == 7
    assert device.holds() == lists_of(kept, "alice")
    assert device.cursor == good


def test_a_backup_that_went_on_otherwise_is_noticed_though_it_has_as_many_records(tmp_path):
    before, after = Kept(tmp_path), None
    before.say("one")
    copy = tmp_path / "restored"
    copy.mkdir()
    before.db.execute("VACUUM INTO ?", (str(copy / "archive.db"),))
    before.say("two")
    device = Device(before)
    device.sync()
    before.db.close()
    after = Kept(copy)
    after.snowflake = 50
    after.say("another two")
    after.say("three")
    device.kept = after
    device.sync()
    assert device.started_over == 1
    assert device.holds() == lists_of(after, "alice")
    after.db.close()


def test_what_is_removed_or_erased_meanwhile_makes_it_start_over_and_nothing_of_it_stays(kept):
    alice, bob = Device(kept), Device(kept, "bob")
    kept.say("old")
    alice.sync()
    kept.day = 40
    kept.say("new")
    retention.remove_before(kept.db, 30)
    kept.projection.forget()
    alice.sync()
    assert alice.started_over == 1
    assert alice.holds() == lists_of(kept, "alice")
    bob.sync()
    retention.erase(kept.db, "alice", "alpha")
    kept.projection.forget()
    kept.say("again")
    alice.sync()
    assert alice.started_over == 2
    assert [pb.ChatMessage.FromString(m).textContent for [(_, _, m)] in alice.holds().values()] == ["again"]
    bob.sync()
    assert bob.holds() == lists_of(kept, "bob")


def test_who_clears_a_conversation_has_none_of_it_and_the_other_side_keeps_theirs(kept):
    devices = alice, _, bob = Device(kept), Device(kept, "eve"), Device(kept, "bob")
    kept.say("for bob", "zanzibar")
    kept.say("timbuktu", to=EVE)
    kept.say("pontevedra", to=BEA, marks=SENT)
    for each in devices:
        each.sync()
    retention.clear(kept.db, "alice", "alpha", BOB)
    kept.projection.forget()
    kept.say("begun again")
    for each in devices:
        each.sync()
        assert each.holds() == lists_of(kept, each.person)
    assert (alice.started_over, bob.started_over) == (1, 0)
    assert [len(lines) for lines in alice.holds().values()] == [1, 1, 1]
    assert kept.texts("bob", ALICE) == ["begun again", "zanzibar", "for bob"]
    retention.clear(kept.db, "alice", "alpha", None)
    kept.projection.forget()
    retention.blank_due(kept.db)
    alice.sync()
    assert alice.holds() == {}
    on_disk = kept.bytes_on_disk()
    assert [word in on_disk for word in (b"zanzibar", b"timbuktu", b"pontevedra")] == [True, True, False]


def test_a_crash_while_it_is_cleared_leaves_no_message_that_nobody_has_and_nobody_blanks(kept, monkeypatch):
    def crash(*_args):
        raise sqlite3.OperationalError("disk I/O error")

    kept.say("zanzibar", to=BEA, marks=SENT)
    monkeypatch.setattr(retention, "_of_others", crash)
    with pytest.raises(sqlite3.OperationalError):
        retention.clear(kept.db, "alice", "alpha", None)
    assert kept.texts("alice", BEA) == ["zanzibar"]


def test_clearing_waits_for_the_disk_once(kept):
    kept.say(*(f"number {n}" for n in range(50)), to=BEA, marks=SENT)
    kept.say("another", to=EVE)
    done = []
    kept.db.set_trace_callback(done.append)
    retention.clear(kept.db, "alice", "alpha", None)
    kept.db.set_trace_callback(None)
    assert done.count("COMMIT") == 2
    assert [each for each in done if each.startswith("PRAGMA")] == [
        "PRAGMA synchronous=NORMAL",
        "PRAGMA synchronous=FULL",
    ]
    assert kept.db.execute("SELECT count(*) FROM erasure").fetchone() == (50,)


def test_a_page_reads_few_of_many_conversations_and_the_pages_all(kept, monkeypatch):
    monkeypatch.setattr(sync, "GROUPED", 20)
    kept.write(*(kept.entry(User(f"u{n}", "beta"), ALICE, "hello", marks=RECEIVED) for n in range(500)))
    kept.project()
    rows = []
    reader = kept.reader()
    reader._db.row_factory = lambda _cursor, row: rows.append(row) or row
    found = reader.sync("alice", b"", limit=5)
    assert (len(found.lines), found.more) == (5, True)
    assert len(rows) < 60
    device = Device(kept)
    device.sync()
    assert device.told == 500
    device.sync()
    kept.say("more", author=User("u499", "beta"), to=ALICE, marks=RECEIVED)
    device.sync(1)
    assert device.holds() == lists_of(kept, "alice")


def test_a_page_has_an_end_in_bytes_and_what_is_too_large_alone_comes_without_its_bytes(kept):
    device = Device(kept)
    kept.say("s" * 300_000, "t" * 300_000, "small")
    first = device.page()
    assert first.more
    assert len(first.lines) == 1
    kept.say("u" * 600_000)
    device.sync()
    assert sorted(len(line.message) > 0 for line in device.lines.values()) == [False, True, True, True]


def test_a_link_is_told_of_news_once_until_it_asks_again():
    followers = Followers()
    assert not followers.is_to_tell("link")
    followers.asked("link", follows=True)
    assert followers.is_to_tell("link")
    assert not followers.is_to_tell("link")
    followers.asked("link", follows=True)
    followers.forget("link")
    assert not followers.is_to_tell("link")
    followers.asked("link", follows=True)
    followers.asked("link", follows=False)
    assert len(followers) == 0
