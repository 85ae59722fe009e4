"""Edits that an archive is told of before their messages: kept for each list until these come, and not for ever."""

import itertools

import pytest

from parley.services.chat.archive import early_edits, retention, storage
from parley.services.chat.archive.early_edits import EDITS
from parley.services.chat.archive.entries import COPY, NO_STATUS, RECEIVED, SENT, entries, entry_bytes
from parley.services.chat.archive.interface import WithoutEffect
from parley.services.chat.archive.lists import conversation
from parley.services.chat.archive.texts import query_of
from parley.shared.addresses import User
from parley.shared.trust.authors import DeviceKeys
from parley.shared.trust.keys import PrivateKey
from tests.support.kept_archive import ALICE, BEA, BOB, BOTH, CREW, EVE, Kept, edit_entry, edited, signed_entry

DEVICE, LAPTOP, STRANGER = (PrivateKey(bytes([number]) * 32) for number in range(1, 4))
APART = pytest.mark.parametrize("apart", ["one chunk", "chunks", "processes"])
ENDS = pytest.mark.parametrize(
    ("author", "to", "marks"),
    [(ALICE, BOB, BOTH), (ALICE, BEA, SENT), (BEA, ALICE, RECEIVED), (ALICE, CREW, SENT), (ALICE, ALICE, BOTH)],
    ids=["both here", "the author's server", "the recipient's", "a group", "oneself"],
)


@pytest.fixture
def kept(tmp_path):
    kept = Kept(tmp_path)
    yield kept
    kept.db.close()


def tell(kept, apart, *parts):
    """Hand these over: in one chunk, in one each, or each to another process."""
    for some in [parts] if apart == "one chunk" else [[part] for part in parts]:
        kept.write(*some)
        kept.project()
        if apart == "processes":
            kept.again()


def lists(kept, author, to, marks):
    """What stands in the lists that a message is in."""
    mine = [edited(kept, author.user_id, to)] if marks & SENT else []
    return mine + ([edited(kept, to.user_id, author)] if marks & RECEIVED else [])


def without_effect(kept):
    return {why.value: count for why, count in kept.projection.edits.without_effect.items() if count}


def rows(kept):
    """How many edits wait, and in how many lists."""
    return [kept.db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in ("early", "early_list")]


@APART
@ENDS
@pytest.mark.parametrize("deletes", [False, True])
def test_an_edit_that_came_first_changes_its_message_once_that_comes(kept, apart, author, to, marks, deletes):
    text = kept.entry(author, to, "number 1", marks=marks)
    edit = edit_entry(kept, author, to, 1, "" if deletes else "new", marks=marks, deletes=deletes)
    other = kept.entry(author, to, "number 3", marks=marks)
    tell(kept, apart, edit, other, text)
    assert lists(kept, author, to, marks) == [["number 3", None if deletes else "new"]] * marks.bit_count()
    assert without_effect(kept) == {}
    assert rows(kept) == [0, 0]


@APART
@pytest.mark.parametrize("order", list(itertools.permutations((2, 5, 3))), ids=str)
def test_of_several_that_came_first_the_greatest_revision_holds(kept, apart, order):
    text = kept.entry(ALICE, BOB, "number 1")
    edits = {n: edit_entry(kept, ALICE, BOB, 1, f"revision {n}", revision=n) for n in order}
    tell(kept, apart, *(edits[n] for n in order[:2]), text, edits[order[2]])
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["revision 5"]


@APART
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("before", [1, 2])
def test_a_deletion_that_came_first_holds_against_edits_before_it_and_behind(kept, apart, first, before):
    text = kept.entry(ALICE, BOB, "zanzibar")
    changes = [
        edit_entry(kept, ALICE, BOB, 1, deletes=True, revision=2, content="zanzibar"),
        edit_entry(kept, ALICE, BOB, 1, "timbuktu", revision=7, content="zanzibar"),
    ]
    parts = [changes[first], changes[not first]]
    tell(kept, apart, *parts[:before], text, *parts[before:])
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == [None]
    retention.blank_due(kept.db)
    kept.projection.forget()
    for word in (b"zanzibar", b"timbuktu"):
        assert word not in kept.bytes_on_disk()
    tell(kept, apart, text)
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == [None]


@pytest.mark.parametrize("deletes", [False, True])
def test_an_edit_of_what_was_deleted_and_blanked_waits_for_nothing(kept, deletes):
    text = kept.entry(ALICE, BOB, "zanzibar")
    deletion = edit_entry(kept, ALICE, BOB, 1, deletes=True, content="zanzibar")
    tell(kept, "chunks", text, deletion)
    retention.blank_due(kept.db)
    kept.again()
    later = edit_entry(kept, ALICE, BOB, 1, "" if deletes else "timbuktu", deletes=deletes, content="zanzibar")
    tell(kept, "chunks", later, edit_entry(kept, BOB, ALICE, 1, "of another's", content="zanzibar"))
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == [None]
    assert without_effect(kept) == {"older": 2}
    assert rows(kept) == [1, 2]
    retention.blank_due(kept.db)
    kept.projection.forget()
    assert b"timbuktu" not in kept.bytes_on_disk()


def test_a_message_that_comes_again_is_there_once_as_it_was_changed(kept):
    text, edit = kept.entry(ALICE, BOB, "number 1"), edit_entry(kept, ALICE, BOB, 1, "new")
    for _ in range(2):
        tell(kept, "processes", edit, text, text)
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["new"]
    assert without_effect(kept) == {}


@APART
def test_each_members_list_is_changed_once_it_has_the_message_whenever_each_had_the_edit(kept, apart):
    def told(entry, *members):
        (found,) = entries(entry)
        copies = [entry_bytes(COPY, RECEIVED, NO_STATUS, 5.0, found.key, name.encode()) for name in members]
        return b"".join([entry, *copies])

    text = kept.entry(ALICE, CREW, "number 1", marks=SENT, status=NO_STATUS)
    edit = edit_entry(kept, ALICE, CREW, 1, "new", marks=SENT)
    tell(kept, apart, told(edit, "bob"), told(text, "eve"), told(edit, "eve", "dan"), told(text, "bob", "mia"))
    assert [edited(kept, name, CREW) for name in ("alice", "bob", "eve", "mia")] == [["new"]] * 3 + [["number 1"]]
    assert rows(kept) == [1, 1]  # dan has no such message
    tell(kept, apart, told(text, "dan"))
    assert edited(kept, "dan", CREW) == ["new"]
    assert rows(kept) == [0, 0]


@pytest.mark.parametrize("to", [BOB, CREW], ids=str)
def test_what_came_first_is_judged_as_any_other_once_its_message_is_there(kept, to):
    kept.keys[ALICE] = DeviceKeys([DEVICE.public, LAPTOP.public])
    text = signed_entry(kept.entry(ALICE, to, "number 1", marks=SENT), DEVICE)
    forged = [
        edit_entry(kept, ALICE, to, 1, "forged", revision=9, marks=SENT, deletes=deletes) for deletes in (0, 1)
    ]
    edits = [forged[0], signed_entry(forged[1], STRANGER)]
    proper = signed_entry(edit_entry(kept, ALICE, to, 1, "mine", marks=SENT), LAPTOP)
    tell(kept, "processes", *edits, proper, text)
    assert edited(kept, "alice", to) == ["mine"]
    tell(kept, "chunks", kept.entry(ALICE, to, "later", marks=SENT))
    retention.blank_due(kept.db)
    assert edited(kept, "alice", to) == ["mine", "later"]
    assert b"forged" not in kept.bytes_on_disk()


def test_nobody_elses_edit_and_none_of_other_words_waits_for_a_message(kept):
    text = kept.entry(ALICE, BOB, "number 1")
    tell(
        kept,
        "chunks",
        edit_entry(kept, BOB, ALICE, 1, "of another's"),
        edit_entry(kept, ALICE, BOB, 1, "of other words", content="otherwise"),
        edit_entry(kept, ALICE, EVE, 1, "in another list"),
        text,
    )
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["number 1"]
    assert rows(kept) == [3, 6]
    assert without_effect(kept) == {}
    kept.give_up_edits()
    assert without_effect(kept) == {"no_such_message": 6}
    assert rows(kept) == [0, 0]


def test_edits_that_change_nothing_once_their_message_came_are_counted_by_why(kept):
    text = kept.entry(ALICE, BOB, "number 1", marks=SENT)
    edits = [edit_entry(kept, ALICE, BOB, 1, f"revision {n}", revision=n, marks=SENT) for n in (3, 2, 1)]
    tell(kept, "processes", *edits)
    tell(kept, "chunks", text)
    assert edited(kept, "alice", BOB) == ["revision 3"]
    assert without_effect(kept) == {"older": 2}


def test_a_search_finds_what_came_first_once_its_message_is_there(kept):
    text, edit = kept.entry(ALICE, BOB, "breakfast"), edit_entry(kept, ALICE, BOB, 1, "supper", content="breakfast")
    tell(kept, "processes", edit)
    assert kept.found("bob", "supper") == []
    tell(kept, "processes", text)
    [line] = kept.reader().search("bob", query_of("supper")).lines
    assert (line.sequence, kept.found("bob", "breakfast")) == (1, [])


def test_who_clears_a_conversation_leaves_no_edit_that_waits_there(kept):
    tell(kept, "chunks", edit_entry(kept, ALICE, BEA, 9, "timbuktu", marks=SENT))
    retention.clear(kept.db, "alice", "alpha", BEA)
    kept.projection.forget()
    retention.blank_due(kept.db)
    assert b"timbuktu" not in kept.bytes_on_disk()
    kept.say("something else")
    assert rows(kept) == [0, 0]


# Bounds -------------------------------------------------------------------------------------------------


def test_one_author_has_so_many_that_wait_and_the_oldest_are_given_up(kept):
    honest = edit_entry(kept, BOB, ALICE, 1000, "honest", content="number 1000")
    edits = [edit_entry(kept, EVE, ALICE, 500 + n, f"edit {n}", marks=SENT) for n in range(EDITS + 3)]
    tell(kept, "one chunk", honest, *edits)
    assert rows(kept) == [EDITS + 1, EDITS + 2]
    assert without_effect(kept) == {"no_such_message": 3}
    kept.again()
    for number in (999, 499 + EDITS, 499):
        kept.snowflake = number
        kept.say(f"number {number + 1}", author=BOB if number == 999 else EVE, to=ALICE, marks=BOTH)
    assert edited(kept, "alice", BOB) == edited(kept, "bob", ALICE) == ["honest"]
    assert edited(kept, "eve", ALICE) == [f"edit {EDITS}", "number 500"]


def test_where_too_many_wait_in_all_those_who_have_the_most_lose_theirs(kept, monkeypatch):
    monkeypatch.setattr(early_edits, "MOST", 40)
    monkeypatch.setattr(early_edits, "LEFT", 35)
    tell(kept, "chunks", edit_entry(kept, BOB, ALICE, 1000, "honest"))
    for flooder in ("eve", "mal"):
        author = User(flooder, "beta")
        tell(kept, "one chunk", *(edit_entry(kept, author, BOB, 500 + n, "x", marks=RECEIVED) for n in range(30)))
    assert rows(kept)[1] <= 40
    kept.snowflake = 999
    kept.say("number 1000", author=BOB, to=ALICE)
    assert edited(kept, "alice", BOB) == ["honest"]
    assert kept.projection.edits.without_effect[WithoutEffect.NO_SUCH_MESSAGE] == 60 - rows(kept)[1]


def test_a_list_in_which_edits_wait_costs_no_look_at_whole_messages(kept, monkeypatch):
    tell(kept, "chunks", *(edit_entry(kept, ALICE, BOB, 5000 + n, "x") for n in range(20)))
    reads = []
    read_record = storage.read_record
    monkeypatch.setattr(storage, "read_record", lambda *args: reads.append(args) or read_record(*args))
    kept.say(*(f"number {n}" for n in range(50)))
    assert reads == []
    assert len(kept.texts("alice", BOB)) == 50


def test_an_edit_of_nothing_makes_no_conversation_that_anybody_is_told_of(kept):
    tell(kept, "chunks", edit_entry(kept, ALICE, BEA, 9, "of nothing", marks=SENT))
    assert kept.reader().conversations("alice", 50) == ([], False)
    assert kept.reader().history(conversation("alice", BEA)).lines == []
    assert kept.reader().sync("alice", b"").lines == []
